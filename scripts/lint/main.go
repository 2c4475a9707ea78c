// Command lint checks Go packages as the staticcheck command does, with other analyzers beside staticcheck's own. It
// is a module of its own, so that the main one needs none of theirs.
package main

import (
	"go/token"
	"os"
	"regexp"
	"strings"

	"codeberg.org/polyfloyd/go-errorlint/errorlint"
	"github.com/golangci/unconvert"
	"github.com/gostaticanalysis/nilerr"
	"github.com/kisielk/errcheck/errcheck"
	"golang.org/x/tools/go/analysis"
	"honnef.co/go/tools/lintcmd"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
	"honnef.co/go/tools/unused"
)

func main() {
	cmd := lintcmd.NewCommand("lint")
	cmd.ParseFlags(os.Args[1:])
	cmd.AddAnalyzers(staticcheck.Analyzers...)
	cmd.AddAnalyzers(simple.Analyzers...)
	cmd.AddAnalyzers(stylecheck.Analyzers...)
	cmd.AddAnalyzers(unused.Analyzer)
	wrapping := errorlint.NewAnalyzer()
	if err := wrapping.Flags.Set("errorf", "true"); err != nil {
		panic(err)
	}
	layers, err := layers()
	if err != nil {
		panic(err)
	}
	cmd.AddBareAnalyzers(uncheckedErrors, wrapping, nilerr.Analyzer, conversions, layers)
	cmd.Run()
}

// Errors that can't happen, or that there is no one to tell about.
var mayStayUnchecked = regexp.MustCompile(
	`Close$|^fmt\.Fprint|^io\.WriteString$|^os\.Remove(All)?$|^\(\*math/rand.*\)\.Read$`)

var uncheckedErrors = &analysis.Analyzer{
	Name:       "errcheck",
	Doc:        "finds errors that nothing looks at, outside tests",
	ResultType: errcheck.Analyzer.ResultType,
	Run: func(pass *analysis.Pass) (any, error) {
		silent := *pass
		silent.Report = func(analysis.Diagnostic) {}
		result, err := errcheck.Analyzer.Run(&silent)
		if err != nil {
			return nil, err
		}
		for _, e := range result.(errcheck.Result).UncheckedErrors {
			if !mayStayUnchecked.MatchString(e.FuncName) && !strings.HasSuffix(e.Pos.Filename, "_test.go") {
				pass.Reportf(pos(pass, e.Pos), "the error that %s returns is not looked at", e.FuncName)
			}
		}
		return result, nil
	},
}

var conversions = &analysis.Analyzer{
	Name: "unconvert",
	Doc:  "finds conversions of a value to the type that it has",
	Run: func(pass *analysis.Pass) (any, error) {
		for _, p := range unconvert.Run(pass) {
			pass.Reportf(pos(pass, p), "the value has this type already")
		}
		return nil, nil
	},
}

func pos(pass *analysis.Pass, p token.Position) token.Pos {
	for _, f := range pass.Files {
		if file := pass.Fset.File(f.Pos()); file.Name() == p.Filename {
			return file.LineStart(p.Line) + token.Pos(p.Column-1)
		}
	}
	return token.NoPos
}
