package render

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/layer"
)

// OptionError is a mistake in an option, told by the name of its flag.
type OptionError struct{ Flag, What string }

func (e *OptionError) Error() string { return "--" + e.Flag + ": " + e.What }

// wrong returns an error about an option's value.
func wrong(flag, value, format string, args ...any) error {
	return &OptionError{flag, fmt.Sprintf("%.200q", value) + fmt.Sprintf(format, args...)}
}

// What Kubernetes takes as names (RFC 1123) and labels.
var (
	dnsLabel  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	dnsName   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	labelText = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
)

const (
	maxLabel   = 63 // characters of a name without dots, and of a label's value
	maxDNSName = 253
)

// checkName checks the name of an object. Behind its name there may be a longest suffix.
func checkName(flag, value, suffix string) error {
	most := maxLabel - len(suffix)
	switch {
	case !dnsLabel.MatchString(value):
		return wrong(flag, value,
			" is no name in Kubernetes: lower-case letters, digits and '-', which is neither first nor last")
	case len(value) > most && suffix != "":
		return wrong(flag, value,
			" has %d characters, and may have %d: a volume is named so with %s behind it, and Kubernetes takes %d",
			len(value), most, suffix, maxLabel)
	case len(value) > most:
		return wrong(flag, value, " has %d characters, and Kubernetes takes %d", len(value), most)
	}
	return nil
}

// labels reads KEY=VALUE labels.
func labels(flag string, texts []string) ([]entry, error) {
	var out []entry
	for _, s := range texts {
		key, value, found := strings.Cut(s, "=")
		prefix, bare, prefixed := strings.Cut(key, "/")
		if !prefixed {
			prefix, bare = "", key
		}
		switch {
		case !found:
			return nil, wrong(flag, s, " is not KEY=VALUE")
		case !labelText.MatchString(bare) || len(bare) > maxLabel || prefixed &&
			(!dnsName.MatchString(prefix) || len(prefix) > maxDNSName):
			return nil, wrong(flag, s, ": the key is no label in Kubernetes: at most %d letters, digits, '-', '_' and '.', "+
				"a letter or digit first and last, and before it perhaps a DNS name of at most %d characters and a slash",
				maxLabel, maxDNSName)
		case value != "" && !labelText.MatchString(value) || len(value) > maxLabel:
			return nil, wrong(flag, s,
				": the value is none that a label has in Kubernetes: at most %d letters, digits, '-', '_' and '.', "+
					"a letter or digit first and last", maxLabel)
		case slices.ContainsFunc(out, func(e entry) bool { return e.Key == key }):
			return nil, wrong(flag, key, " is given twice")
		}
		out = append(out, entry{key, value})
	}
	return out, nil
}

// checkFile checks the path of the plugin on the machine of an Envoy.
func checkFile(flag, value string) error {
	switch base := path.Base(value); {
	case value == "":
		return &OptionError{flag, "is needed: the plugin's path"}
	case strings.Contains(value, "://"):
		return wrong(flag, value, " is a URL; give a path on the machine of the Envoy")
	case windowsPath.MatchString(value):
		return wrong(flag, value, " is a path of Windows, on which Envoy does not run")
	case strings.HasSuffix(value, "/") || base == "." || base == "..":
		return wrong(flag, value, " is a folder; give the plugin's file in it")
	}
	return nil
}

// RuntimeDir returns a symlink_root as Envoy takes it; empty if it is empty.
func RuntimeDir(value string) (string, error) {
	if value == "" {
		return "", nil
	}
	out := value
	if !slices.Contains(strings.Split(value, "/"), "..") { // behind a link it leads elsewhere than the text says
		out = path.Clean(value)
	}
	out = trailing.ReplaceAllString(out, "")
	if base := path.Base(out); base == "/" || base == "." || base == ".." {
		return "", wrong("runtime-dir", value,
			" can't be a link, and Envoy reads the layer again when this link is replaced; add a name, such as current")
	}
	return watched(out), nil
}

var trailing = regexp.MustCompile(`(/\.?)+$`)

// watched returns a path as Envoy takes it of what it watches: with a slash.
func watched(file string) string {
	if file == "" || strings.Contains(file, "/") {
		return file
	}
	return "./" + file
}

var windowsPath = regexp.MustCompile(`^[A-Za-z]:[\\/]`)

// systemFolders are those of the proxy's container that a mount would hide.
var systemFolders = []string{"/", "/bin", "/boot", "/dev", "/etc", "/etc/istio", "/etc/ssl", "/home", "/lib", "/lib64",
	"/opt", "/proc", "/root",
	"/run", "/sbin", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/sbin", "/var",
	"/var/lib", "/var/lib/istio",
	"/var/run", "/var/run/secrets"}

// checkMount checks a path in the proxy's container, and the folder, part or all of it, where a ConfigMap is mounted.
func checkMount(flag, value, folder string) error {
	switch {
	case windowsPath.MatchString(value) || !path.IsAbs(value):
		return wrong(flag, value, ": a path in the proxy's container starts with a slash")
	case path.Clean(value) != value:
		return wrong(flag, value, ": write the path in the proxy's container as %s", path.Clean(value))
	case strings.Contains(folder, ":"):
		return wrong(flag, value, ": Kubernetes mounts no folder with a colon in its name")
	case slices.Contains(systemFolders, folder):
		return wrong(flag, value,
			": a ConfigMap is mounted at %s, and hides what is there; choose a folder of its own, such as /etc/healthgate/%s",
			folder, flag)
	}
	return nil
}

// checkWasm checks where the proxy gets the plugin from, and what is mounted.
func (o *IstioOptions) checkWasm() error {
	if err := checkMount("runtime-dir", o.RuntimeDir, o.RuntimeDir); err != nil {
		return err
	}
	if !o.isFile() {
		return o.checkURL()
	}
	if err := checkMount("wasm", o.Wasm, path.Dir(o.Wasm)); err != nil {
		return err
	}
	if o.WasmSHA256 != "" || o.WasmCluster != "" {
		return &OptionError{"wasm-sha256, --wasm-cluster", "are for a plugin that is fetched, " +
			"and --wasm " + o.Wasm + " is a file"}
	}
	wasm, runtime := path.Dir(o.Wasm)+"/", o.RuntimeDir+"/"
	if strings.HasPrefix(wasm, runtime) || strings.HasPrefix(runtime, wasm) {
		return wrong("wasm", o.Wasm, ": its folder and --runtime-dir %s are mounted, and neither may lie in the other",
			o.RuntimeDir)
	}
	return nil
}

// checkURL checks where a control plane or a proxy fetches the plugin.
func (o *Common) checkURL() error {
	if o.WasmSHA256 != "" && !sum.MatchString(o.WasmSHA256) {
		return &OptionError{"wasm-sha256", "is not 64 lower-case hexadecimal digits, as sha256sum prints"}
	}
	wasm := o.Wasm
	scheme, rest, _ := strings.Cut(wasm, "://")
	switch scheme {
	case "oci":
		return checkImage("wasm", "oci://", rest)
	case "http", "https":
		u, err := url.Parse(wasm)
		if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
			return wrong("wasm", wasm, " is not %s://HOST/PATH", scheme)
		}
		if u.User != nil {
			return &OptionError{"wasm", "holds a login, which everybody reads who may see the object"}
		}
	default:
		return wrong("wasm", wasm, " is neither a path in the proxy's container, oci:// nor http(s)://")
	}
	return nil
}

// checkKeys refuses keys that `healthgate maintenance` could not set. In the place of a placeholder there is its node's
// value, or a letter where that is not known.
func checkKeys(d *document.Document, node Node) error {
	known := func(value string) string { return cmp.Or(value, "x") }
	fill := strings.NewReplacer("{node_id}", known(node.ID), "{cluster}", known(node.Cluster),
		"{region}", known(node.Region), "{zone}", known(node.Zone))
	for n := range d.Config.Endpoints {
		place := fmt.Sprintf("endpoints[%d].maintenance.keys", n)
		for i, key := range d.Strings(place) {
			if err := layer.CheckKey(fill.Replace(key)); err != nil {
				what := err.Error()
				if strings.Contains(key, "{") {
					what += "; {node_id}, {cluster}, {region} and {zone} are what Envoy's node says: --node-id, --node-cluster, " +
						"--region and --zone, where there are these"
				}
				return d.Problem(fmt.Sprintf("%s[%d]", place, i), what)
			}
		}
	}
	return nil
}
