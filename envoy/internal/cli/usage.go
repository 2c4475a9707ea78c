package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group makes a command of its subcommands alone: without one it shows its help, with an unknown one it fails.
func group(cmd *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	cmd.Args = known
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(subcommands...)
	return cmd
}

// known refuses what is none of a command's subcommands.
func known(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	like := args[0]
	var names []string
	for _, child := range cmd.Commands() {
		if child.Name() == like {
			return nil
		}
		names = append(names, child.Name())
		if slices.Contains(child.SuggestFor, like) {
			like = child.Name()
		}
	}
	return fmt.Errorf("unknown command %q for %q%s see: %s --help", args[0], cmd.CommandPath(),
		meant(like, names, ""), cmd.CommandPath())
}

// builtIn has the commands that cobra brings refuse names that do not exist as the others do.
func builtIn(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				if found, rest, _ := root.Find(args); found.HasSubCommands() {
					return found.Args(found, rest)
				}
				return nil
			}
		case "completion":
			cmd.Args = known
			for _, shell := range cmd.Commands() {
				shell.Args = takes("")
			}
		}
	}
}

func meant(said string, names []string, prefix string) string {
	if name := document.Nearest(said, names); name != "" {
		return "; did you mean " + prefix + name + "?"
	}
	return ";"
}

// takes refuses all arguments of a command, or all but one. Where that is neither a FILE nor a URL, an address is that
// of an Envoy.
func takes(one string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		for _, arg := range args {
			switch {
			case one == "FILE" || one == "URL" || cmd.Flag("admin") == nil || !strings.Contains(arg, ":"):
			case strings.Contains(arg, "@"): // which is not repeated: it holds a password
				return errors.New("an Envoy is named by a flag, --admin, and its login is in a file, --admin-auth-file FILE")
			default:
				return fmt.Errorf("%q: an Envoy is named by a flag: --admin %s", arg, document.Shell(arg))
			}
		}
		switch {
		case one == "" && len(args) > 0:
			return fmt.Errorf("%q: %s takes no argument; see: %s --help", args[0], cmd.Name(), cmd.CommandPath())
		case len(args) > 1:
			return fmt.Errorf("%s takes one %s, and got %d: %q", cmd.Name(), one, len(args), args)
		}
		return nil
	}
}

// refuseEmpty refuses a flag whose value is empty, such as "$DIR" where nothing is in it: as if it was not given, the
// command would write or ask elsewhere. Where there is a default, empty means none.
func refuseEmpty(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		list, _ := f.Value.(pflag.SliceValue)
		if f.Value.Type() == "string" && f.Value.String() == "" && f.DefValue == "" && f.Name != "reason" ||
			f.Value.Type() == "stringArray" && slices.Contains(list.GetSlice(), "") {
			what, _ := pflag.UnquoteUsage(f)
			err = &render.OptionError{Flag: f.Name, What: "is empty; give " + what + ", or leave it out"}
		}
	})
	return err
}

// login matches an address with a login, which is not to be repeated where a file's name is expected.
var login = regexp.MustCompile(`^[a-z]+://[^/]+@`)

// refuseLogin refuses an address with a login in the place of a file.
func refuseLogin(cmd *cobra.Command, args []string) (err error) {
	refuse := func(name, value string) {
		if login.MatchString(value) {
			err = fmt.Errorf("%s: is an address, with a login, which lists of processes show; a file's name is expected", name)
		}
	}
	for _, arg := range args {
		if strings.Contains(cmd.Use, "FILE") {
			refuse("FILE", arg)
		}
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if what, _ := pflag.UnquoteUsage(f); what == "FILE" || what == "DIR" || what == "PATH" {
			refuse("--"+f.Name, strings.Trim(f.Value.String(), "[]"))
		}
	})
	return err
}

// single is a flag's value that can be given once: of two the first would be dropped without a word.
type single struct {
	pflag.Value
	given bool
}

var errTwice = errors.New("is given twice, and takes one value")

func (o *single) Set(value string) error {
	if o.given {
		return errTwice
	}
	o.given = true
	return o.Value.Set(value)
}

// lines is a list with commas, of which pflag would drop all lines but the first.
type lines struct {
	pflag.Value
	pflag.SliceValue
}

func (l lines) Set(value string) error {
	if strings.ContainsAny(value, "\r\n") {
		return errors.New("has more than one line")
	}
	return l.Value.Set(value)
}

// eachOnce has all flags of a command and of those below it taken once, but for lists.
func eachOnce(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "stringSlice" {
			f.Value = lines{f.Value, f.Value.(pflag.SliceValue)}
			f.DefValue = strings.TrimSuffix(f.DefValue, "[]")
		} else if _, list := f.Value.(pflag.SliceValue); !list && f.Value.Type() != "bool" {
			f.Value = &single{Value: f.Value}
			if f.DefValue == "0s" {
				f.DefValue = "" // help knows a zero by its type alone
			}
		}
	})
	for _, child := range cmd.Commands() {
		eachOnce(child)
	}
}

// flagError says what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var wrong *pflag.InvalidValueError
	var lacks *pflag.ValueRequiredError
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 { // the flag may be one of the command that was meant
		if unknown := cmd.Args(cmd, cmd.Flags().Args()); unknown != nil {
			return unknown
		}
	}
	switch {
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		name, dashes := unknown.GetSpecifiedName(), "--"
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			name, dashes = short, "-"
		}
		return fmt.Errorf("unknown flag: %s%s%s see: %s --help", dashes, name, meant(name, names, "--"), cmd.CommandPath())
	case errors.As(err, &wrong) && errors.Is(err, errTwice):
		return &render.OptionError{Flag: wrong.GetFlag().Name, What: errTwice.Error()}
	case errors.As(err, &wrong):
		must := map[string]string{
			"duration": "is not a time such as 500ms, 10s or 1m30s",
			"int":      "is not a whole number",
			"uint16":   "is not a whole number from 0 to 65535",
			"uint64":   "is not a whole number from 0 on",
			"bool":     "is neither true nor false",

			"stringSlice": "is not a list with commas",
		}[wrong.GetFlag().Value.Type()]
		if must != "" {
			return &render.OptionError{Flag: wrong.GetFlag().Name, What: fmt.Sprintf("%q %s", wrong.GetValue(), must)}
		}
	case errors.As(err, &lacks):
		what, _ := pflag.UnquoteUsage(lacks.GetFlag())
		return &render.OptionError{Flag: lacks.GetFlag().Name, What: "is without its value, " + what}
	}
	return err
}
