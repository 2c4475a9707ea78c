package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/lint"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/spf13/cobra"
)

func newRenderKubernetes() *cobra.Command {
	var o render.KubernetesOptions
	var folder string
	cmd := &cobra.Command{
		Use:   "kubernetes FILE",
		Short: "Write a base of kustomize: a workload with an Envoy in front of it",
		Long: `Writes into a folder what kubectl apply -k takes: a copy of the manifests that hold the workload, a patch that
gives its pods an Envoy as a native sidecar, with the kubelet's readiness probe, the preStop hook that drains and the
time for it, Envoy's configuration and the runtime keys as ConfigMaps, and a NetworkPolicy. For each --zone there is a
ConfigMap that puts it into maintenance while it is there. FILE is a healthgate.yaml, or - for standard input. What the
patch would replace, or what could not work, is refused.`,
		Example: `  healthgate render kubernetes healthgate.yaml --into shop.yaml --readiness kubelet \
      --cluster shop=127.0.0.1:7070 --image registry.example/healthgate:v1.2.3 --zone eu-1a -o kubernetes
  kubectl apply -k kubernetes/base`,
		Args: cobra.MatchAll(someFile("render"), takes("FILE")), ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error { return renderKubernetes(cmd, args[0], folder, &o) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.File, "into", "", "the manifests, a `FILE`, that hold the workload, with its Services")
	f.StringVar(&o.Workload, "workload", "", "which of several, `KIND/NAME`")
	f.StringVar(&o.Container, "container", "",
		"`NAME` of the container that serves requests, of several; it gets the hook")
	f.StringVar(&o.Readiness, "readiness", "", "`NAME` of the endpoint that the kubelet asks")
	f.StringVar(&o.Listen, "listen", "0.0.0.0:8080", "`ADDRESS` that the load balancer and the users reach, HOST:PORT")
	f.StringVar(&o.Admin, "admin", render.DefaultAdmin, "`ADDRESS` of Envoy's admin, on loopback")
	f.StringVar(&o.Metrics, "metrics-listen", "", "as of render envoy: `ADDRESS` of a listener for Prometheus, HOST:PORT")
	f.StringArrayVar(&o.Clusters, "cluster", []string{"app=127.0.0.1:7070"},
		"a cluster that probes name, `NAME=ADDRESS`; the first is the application's, of which probes get a copy; "+
			"may be repeated")
	f.StringVar(&o.Gate, "gate", render.ByRoute, "`FORM` of the gate: route or matcher")
	f.StringVar(&o.Image, "image", "", "`IMAGE` that holds /healthgate, the command, and /plugin.wasm")
	f.StringVar(&o.Bring, "bring", render.ByImageVolume,
		"`WAY` of the image's files into the pod: image-volume, or init-container, for which the image holds cp, too")
	f.StringVar(&o.EnvoyImage, "envoy-image", "envoyproxy/envoy:distroless-v1.40.0", "`IMAGE` of Envoy")
	f.Uint64Var(&o.WaitChecks, "wait-checks", 3, "as of shutdown: the hook waits for `N` checks that got 503")
	f.DurationVar(&o.Quiet, "quiet", 15*time.Second, "as of shutdown: more than the load balancer's interval")
	f.DurationVar(&o.Timeout, "timeout", time.Minute, "as of shutdown: for each of its steps to come about")
	f.StringSliceVar(&o.Zones, "zone", nil, "`ZONE`,… for the maintenance of which there is a ConfigMap")
	f.StringVar(&o.RouteKey, "route-key", "healthgate.route_maintenance",
		"runtime `KEY` of maintenance by route; {endpoint} in it is an endpoint's name")
	f.StringVarP(&folder, "output", "o", "", "write into the `FOLDER`, and only when all is well")
	for name, values := range map[string][]string{"gate": {render.ByRoute, render.ByMatcher},
		"bring": {render.ByImageVolume, render.ByInitContainer}} {
		complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
		cobra.CheckErr(cmd.RegisterFlagCompletionFunc(name, complete))
	}
	return cmd
}

func renderKubernetes(cmd *cobra.Command, file, folder string, o *render.KubernetesOptions) error {
	for _, f := range []struct{ flag, value, what string }{
		{"into", o.File, "the manifests that hold the workload"}, {"output", folder, "a folder to write into"},
	} {
		if f.value == "" {
			return &render.OptionError{Flag: f.flag, What: "is needed: " + f.what}
		}
	}
	if folder == "-" {
		return &render.OptionError{Flag: "output", What: "there are several files; give a folder"}
	}
	if info, err := os.Stat(folder); err == nil && !info.IsDir() {
		return &render.OptionError{Flag: "output", What: fmt.Sprintf("%s is a file; give a folder", folder)}
	}
	d, err := document.Read(file)
	if err != nil {
		return err
	}
	if o.Command, err = commandLine(cmd, file); err != nil {
		return err
	}
	if o.Manifests, err = readFile(o.File); err != nil {
		return &render.OptionError{Flag: "into", What: err.Error()}
	}
	files, err := render.Kubernetes(d, *o)
	if err != nil {
		return err
	}
	folder = strings.TrimSuffix(folder, "/") + "/"
	before, _ := os.ReadFile(folder + render.Kustomization)
	ours := strings.Contains(string(before), cmd.CommandPath())
	var made []fileToWrite
	for _, f := range files {
		to := folder + f.Path
		of := ""
		if f.Path == render.Workload {
			of = o.File
		}
		made = append(made, fileToWrite{to, f.Text, of})
		if err := spare(cmd, to, file); err != nil {
			return err
		}
		there, _ := os.ReadFile(to)
		head, _, _ := strings.Cut(f.Text, "\n")
		another := strings.HasPrefix(f.Path, "zones/") && !strings.HasPrefix(string(there), head) // zone, not made yet
		if _, err := os.Lstat(to); err == nil && (!ours || another) {
			return &render.OptionError{Flag: "output", What: fmt.Sprintf("%s would be lost, and nothing says that this command "+
				"made it; move it away, or write into another folder", to)}
		}
	}
	tell(cmd, yellow, "warning:", o.Unreached(d))
	for _, f := range files {
		if f.Path == render.EnvoyConfiguration {
			warnings, err := lint.Rendered(d, f.Text)
			if err != nil {
				return err
			}
			tell(cmd, yellow, "warning:", warnings)
		}
	}
	if err := writeTree(made); err != nil {
		return failure{err}
	}
	zones, _ := os.ReadDir(folder + "zones") // there is none without --zone
	for _, e := range zones {
		at, zone := folder+"zones/"+e.Name(), strings.TrimSuffix(e.Name(), ".yaml")
		if slices.Contains(o.Zones, zone) || !e.Type().IsRegular() {
			continue
		}
		if text, _ := os.ReadFile(at); strings.HasPrefix(string(text), "# Maintenance of the zone "+zone+".") {
			what := "is of an earlier run, and stays as it is: pods that are made from now on do not read it; give --zone " +
				document.Shell(zone) + ", too, or take it out"
			tell(cmd, "", "note:", []*document.Problem{{File: at, What: what}})
		}
	}
	return nil
}
