package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"sort"
)

// edit replaces a part of a source.
type edit struct {
	from, to int
	text     []byte
}

// trim returns a source of the SDK's without the packages fmt and time: messages of errors are not filled in, and the
// time that callbacks take is not measured, which the SDK does only with a build tag that the plugin is built without.
// What else these packages may be used for is an error: then another version of the SDK wants another trim.
func trim(name string, source []byte) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	at := func(p token.Pos) int { return files.Position(p).Offset }
	var edits []edit
	cut := func(n ast.Node) { edits = append(edits, edit{from: at(n.Pos()), to: at(n.End())}) }
	var left error
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			for _, spec := range n.Specs {
				if i, ok := spec.(*ast.ImportSpec); !ok || i.Path.Value != `"fmt"` && i.Path.Value != `"time"` {
					continue
				}
				if n.Lparen.IsValid() {
					cut(spec)
				} else {
					cut(n)
				}
			}
		case *ast.FuncDecl:
			if n.Name.Name == "logTiming" {
				cut(n)
				return false
			}
		case *ast.IfStmt:
			if condition, ok := n.Cond.(*ast.Ident); ok && condition.Name == "recordTiming" {
				cut(n)
				return false
			}
		case *ast.CallExpr:
			if named(n.Fun, "fmt") == "Sprintf" {
				format := source[at(n.Args[0].Pos()):at(n.Args[0].End())]
				edits = append(edits, edit{at(n.Pos()), at(n.End()), format})
				return false
			}
		case *ast.SelectorExpr:
			if named(n, "fmt") != "" || named(n, "time") != "" {
				left = fmt.Errorf("%s: %s.%s is left", files.Position(n.Pos()), n.X, n.Sel)
			}
		}
		return true
	})
	if left != nil {
		return nil, left
	}
	sort.Slice(edits, func(i, j int) bool { return edits[i].from < edits[j].from })
	var out []byte
	end := 0
	for _, e := range edits {
		out = append(append(out, source[end:e.from]...), e.text...)
		end = e.to
	}
	return append(out, source[end:]...), nil
}

// named returns the name that an expression takes from a package, "" if it is another's.
func named(e ast.Expr, pkg string) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
			return s.Sel.Name
		}
	}
	return ""
}
