package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/lint"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newRender() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Write an Envoy, Istio or Envoy Gateway configuration from a healthgate.yaml",
		Long: `Writes, from one healthgate.yaml, the filter with its gate, the maintenance routes, the way to Envoy's admin, a
cluster for the probes alone, the runtime layers and the labels of metrics. Nothing is written when the file has a
mistake; what you will regret is a warning.`,
	}
	return group(cmd, newRenderEnvoy(), newRenderIstio("istio-envoyfilter", "an EnvoyFilter", render.IstioEnvoyFilter),
		newRenderIstio("istio-wasmplugin", "a WasmPlugin", render.IstioWasmPlugin),
		newRenderIstio("istio-trafficextension", "a TrafficExtension", render.IstioTrafficExtension),
		newRenderEnvoyGateway(), newRenderKubernetes())
}

func newRenderEnvoy() *cobra.Command {
	var o render.EnvoyOptions
	var into intoOptions
	var output string
	cmd := &cobra.Command{
		Use:   "envoy FILE",
		Short: "Write a whole Envoy configuration, or merge into one that is there",
		Long: `Writes a whole Envoy configuration: a listener with the gated filter in front of one application, admin,
runtime layers, the labels of metrics. FILE is a healthgate.yaml, or - for standard input.

With --into it merges these into the configuration of an Envoy that is there, and leaves all other text as it is. What
it cannot merge it refuses, with the line. Merging again changes nothing. Files of listeners, routes and clusters (LDS,
RDS, CDS) are taken where they lie beside the bootstrap, or given with more --into; -o names where the bootstrap goes,
and the others go beside it. Without --runtime-dir no disk layer is added, and without --admin no admin; without --wasm,
--gate and --route-key what an earlier merge wrote with them stays. --listen adds a listener for checks alone, on which
each check comes on a new connection; only it then gets the filter, and those of --listener.`,
		Example: `  healthgate render envoy healthgate.yaml --wasm /etc/envoy/healthgate.wasm -o envoy.yaml
  healthgate render envoy healthgate.yaml --listen 0.0.0.0:443 --admin unix:///run/envoy/admin.sock \
      --cluster app=127.0.0.1:8080 --cluster stats=stats.internal:7070
  healthgate render envoy healthgate.yaml --into /etc/envoy/envoy.yaml -o merged.yaml`,
		Args: cobra.MatchAll(someFile("render"), takes("FILE")), ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if info, err := os.Stat(o.Wasm); err == nil && info.IsDir() {
				return &render.OptionError{Flag: "wasm", What: o.Wasm + " is a folder; give the plugin's file in it"}
			}
			var err error
			if len(into.files) > 0 {
				err = into.merge(cmd, args[0], output, &o)
			} else {
				err = renderTo(cmd, args[0], output, &o.Common, func(d *document.Document) (string, error) {
					if into.parts {
						return render.Parts(d, o)
					}
					return render.Envoy(d, o)
				})
			}
			if err == nil && o.Wasm == cmd.Flags().Lookup("wasm").DefValue {
				warnAbsent(cmd, "wasm", o.Wasm)
			}
			if err == nil && len(into.files) == 0 {
				warnAbsent(cmd, "runtime-dir", filepath.Dir(o.RuntimeDir))
			}
			return err
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Listen, "listen", "127.0.0.1:10000", "`ADDRESS` that the load balancer and the users reach, HOST:PORT")
	f.StringVar(&o.Metrics, "metrics-listen", "",
		"`ADDRESS` at which Prometheus gets /stats/prometheus and nothing else of admin (default: none)")
	f.StringVar(&o.Admin, "admin", render.DefaultAdmin, "`ADDRESS` of Envoy's admin, HOST:PORT or unix:///PATH")
	f.StringArrayVar(&o.Clusters, "cluster", []string{"app=127.0.0.1:7070"},
		"a cluster that probes name, `NAME=ADDRESS`; the first is the application's, of which probes get a copy; "+
			"may be repeated")
	f.StringVar(&o.Node.ID, "node-id", render.DefaultNodeID, "what {node_id} stands for in keys")
	f.StringVar(&o.Node.Cluster, "node-cluster", "healthgate", "what {cluster} stands for")
	f.StringVar(&o.Node.Region, "region", "local", "what {region} stands for")
	f.StringVar(&o.Node.Zone, "zone", "local-a", "what {zone} stands for")
	f.StringVar(&o.RTDSFile, "rtds-file", "", "`FILE` of runtime keys, a layer between disk and admin")
	f.StringVar(&o.RTDSServer, "rtds-server", "", "`ADDRESS` of a gRPC server of runtime keys instead, HOST:PORT")
	f.StringVar(&o.Gate, "gate", render.ByRoute,
		"`FORM` of the gate, which keeps other traffic out of the VM: route, the cheapest, or matcher, which needs no routes")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("gate",
		cobra.FixedCompletions([]string{render.ByRoute, render.ByMatcher}, cobra.ShellCompDirectiveNoFileComp)))
	f.StringArrayVar(&into.files, "into", nil, "merge into this `FILE` of Envoy's; may be repeated")
	f.StringArrayVar(&into.listeners, "listener", nil,
		"with --into, the `NAME` of a listener that gets the filter (default: all that lead to the application); "+
			"may be repeated")
	f.BoolVar(&into.parts, "parts", false, "write the pieces alone, for a configuration that another program makes")
	commonFlags(f, &o.Common, &output, "build/healthgate.wasm", "build/runtime/current",
		"`PATH` of the plugin", "symlink_root of the disk runtime layer, a `PATH`; empty for none")
	return cmd
}

func newRenderIstio(form, kind string, write func(*document.Document, render.IstioOptions) (string, error),
) *cobra.Command {
	var o render.IstioOptions
	var output, workload string
	wasm := "/etc/healthgate/wasm/healthgate.wasm"
	wasmHelp := "the plugin: a `PATH` in the proxy's container, or http(s)://…"
	example := `  healthgate render istio-envoyfilter healthgate.yaml --selector app=shop --namespace shop --port 8080 \
      --cluster app=127.0.0.1:8080
  healthgate render istio-envoyfilter healthgate.yaml --workload gateway --selector istio=ingressgateway \
      --namespace istio-system --route-cluster 'outbound|80||shop.shop.svc.cluster.local'`
	if form != "istio-envoyfilter" {
		wasm, wasmHelp = "", "the plugin's `URL`: oci://…, http(s)://…, or a path in the proxy's container"
		example = strings.NewReplacer("istio-envoyfilter", form, " \\\n      ",
			" \\\n      --wasm oci://registry.example/hg:1 ").Replace(example)
	}
	cmd := &cobra.Command{
		Use:   form + " FILE",
		Short: "Write " + kind + " and its ConfigMaps, for a sidecar or a gateway",
		Long: `Writes ` + kind + `, the ConfigMap that adds a runtime layer and the labels of metrics to the proxy's bootstrap
(annotation sidecar.istio.io/bootstrapOverride), and the ConfigMap that holds the runtime keys. FILE is a
healthgate.yaml, or - for standard input.`,
		Example: example,
		Args:    cobra.MatchAll(someFile("render"), takes("FILE")), ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch workload {
			case "sidecar", "gateway":
				o.Gateway = workload == "gateway"
			case "waypoint":
				return &render.OptionError{Flag: "workload", What: "a waypoint takes requests from an internal listener, which " +
					"has no client's address, so no check is trusted there. Checks reach it through a gateway alone: " +
					"let that answer, --workload gateway"}
			default:
				return &render.OptionError{Flag: "workload", What: fmt.Sprintf("%q is neither sidecar nor gateway", workload)}
			}
			if o.Wasm == "" {
				return &render.OptionError{Flag: "wasm", What: "is needed: where the proxy gets the plugin, oci://…"}
			}
			return renderTo(cmd, args[0], output, &o.Common, func(d *document.Document) (string, error) { return write(d, o) })
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&workload, "workload", "sidecar", "`WHAT` it is for: sidecar (inbound) or gateway")
	f.StringVar(&o.Name, "name", "healthgate", "`NAME` of the objects")
	f.StringVar(&o.Namespace, "namespace", "default", "`NAMESPACE` of the workload")
	f.StringSliceVar(&o.Selector, "selector", nil, "labels of the workload's pods, `KEY=VALUE`,…")
	f.IntVar(&o.Port, "port", 0, "the container's `PORT`; 0 means every port")
	f.StringArrayVar(&o.Clusters, "cluster", nil,
		"a cluster that probes name and Istio does not have, `NAME=ADDRESS`: for a sidecar 127.0.0.1:PORT; may be repeated")
	f.StringVar(&o.RouteCluster, "route-cluster", "",
		"`CLUSTER` behind a maintenance route (default for a sidecar: inbound|PORT||)")
	f.IntVar(&o.AdminPort, "admin-port", 15000,
		"the proxy's admin `PORT`, for an admin.cluster other than prometheus_stats")
	if form == "istio-envoyfilter" {
		f.StringVar(&o.WasmCluster, "wasm-cluster", "", "`CLUSTER` through which Envoy fetches an http(s):// plugin")
	}
	f.StringVar(&o.WasmSHA256, "wasm-sha256", "", "`SUM` of the plugin, as sha256sum prints it")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("workload",
		cobra.FixedCompletions([]string{"sidecar", "gateway"}, cobra.ShellCompDirectiveNoFileComp)))
	commonFlags(f, &o.Common, &output, wasm, "/etc/healthgate/runtime", wasmHelp,
		"where the ConfigMap of runtime keys is mounted, a `PATH`")
	return cmd
}

func newRenderEnvoyGateway() *cobra.Command {
	var o render.GatewayOptions
	var output string
	cmd := &cobra.Command{
		Use:   "envoy-gateway FILE",
		Short: "Write the objects that a Gateway of Envoy Gateway needs",
		Long: `Writes an HTTPRoute for the checks, which is the gate, an EnvoyExtensionPolicy with the filter, an
EnvoyPatchPolicy that loads a crashed VM again, an EnvoyProxy that adds runtime layers, clusters and the labels of
metrics to the bootstrap, and the ConfigMap that holds the runtime keys. FILE is a healthgate.yaml, or - for standard
input.`,
		Example: `  healthgate render envoy-gateway healthgate.yaml --gateway front --namespace shop --backend shop:8080 \
      --wasm oci://registry.example/hg:1 --hostname shop.example \
      --cluster shop=shop.shop.svc.cluster.local:8080`,
		Args: cobra.MatchAll(someFile("render"), takes("FILE")), ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("route-key") {
				return &render.OptionError{Flag: "route-key",
					What: "there is no maintenance by route with Envoy Gateway; leave it out"}
			}
			return renderTo(cmd, args[0], output, &o.Common, func(d *document.Document) (string, error) {
				return render.EnvoyGateway(d, o)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Gateway, "gateway", "", "`NAME` of the Gateway that answers")
	f.StringVar(&o.Namespace, "namespace", "default", "`NAMESPACE` of the Gateway")
	f.StringSliceVar(&o.Listeners, "listener", []string{"http"}, "the Gateway's listeners that answer, `NAME`,…")
	f.StringSliceVar(&o.Hostnames, "hostname", nil,
		"hostnames that routes of the application name, `NAME`,…: checks with these are answered, too")
	f.StringVar(&o.Backend, "backend", "",
		"the application, `SERVICE:PORT`, or the name of a Backend: it gets what the filter does not answer")
	f.StringVar(&o.Name, "name", "healthgate", "`NAME` of the objects")
	f.StringVar(&o.ProxyNamespace, "proxy-namespace", "envoy-gateway-system", "`NAMESPACE` in which the proxies run")
	f.StringArrayVar(&o.Clusters, "cluster", nil, "a cluster that probes name, `NAME=ADDRESS`; may be repeated")
	f.IntVar(&o.AdminPort, "admin-port", 19000,
		"the proxies' admin `PORT`, for an admin.cluster other than prometheus_stats")
	f.StringVar(&o.WasmSHA256, "wasm-sha256", "", "`SUM` of the plugin as sha256sum prints it, or the image's digest")
	commonFlags(f, &o.Common, &output, "", "/etc/healthgate/runtime", "the plugin's `URL`: oci://… or http(s)://…",
		"where the ConfigMap of runtime keys is mounted, a `PATH`; empty for none")
	_ = f.MarkHidden("route-key")
	return cmd
}

// warnAbsent warns of an option's default that leads to nothing, so that no Envoy starts here with what is written.
func warnAbsent(cmd *cobra.Command, flag, path string) {
	if _, err := os.Stat(path); err != nil && !cmd.Flags().Changed(flag) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s --%s: there is no %s here; give the path that it has where Envoy runs\n",
			paint(cmd.ErrOrStderr(), yellow, "warning:"), flag, path)
	}
}

// yamlFiles completes the name of a healthgate.yaml.
func yamlFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

func commonFlags(f *pflag.FlagSet, o *render.Common, output *string, wasm, runtimeDir, wasmHelp, runtimeHelp string) {
	f.StringVar(&o.Wasm, "wasm", wasm, wasmHelp)
	f.StringVar(&o.RuntimeDir, "runtime-dir", runtimeDir, runtimeHelp)
	f.StringVar(&o.RouteKey, "route-key", "healthgate.route_maintenance",
		"runtime `KEY` of maintenance by route; {endpoint} in it is an endpoint's name")
	f.StringVarP(output, "output", "o", "", "write to `FILE`, and only when all is well (default: -, standard output)")
}

func renderTo(cmd *cobra.Command, file, output string, o *render.Common,
	write func(*document.Document) (string, error)) error {
	if err := spare(cmd, output, file); err != nil {
		return err
	}
	d, err := document.Read(file)
	if err != nil {
		return err
	}
	if o.Command, err = commandLine(cmd, file); err != nil {
		return err
	}
	text, err := write(d)
	if err != nil {
		return err
	}
	warnings, err := lint.Rendered(d, text)
	if err != nil {
		return err
	}
	tell(cmd, yellow, "warning:", warnings)
	if output == "" || output == "-" {
		fmt.Fprint(cmd.OutOrStdout(), text)
	} else if err := writeFiles(fileToWrite{path: output, text: text}); err != nil {
		return failure{err}
	}
	return nil
}

// sameFile reports whether an output is a regular file that is read, by whatever name; "-" is standard input.
func sameFile(output, input string) bool {
	from, notFrom := os.Stdin.Stat()
	if input != "-" {
		from, notFrom = os.Stat(input)
	}
	to, notTo := os.Stat(output)
	return notFrom == nil && notTo == nil && from.Mode().IsRegular() && os.SameFile(from, to)
}

// spare refuses an output that is FILE, or one that a flag names: it would be lost.
func spare(cmd *cobra.Command, output, file string) (err error) {
	refuse := func(which, name string) {
		if err == nil && sameFile(output, name) {
			err = &render.OptionError{Flag: "output", What: fmt.Sprintf("%s is %s itself, which would be lost; "+
				"write to another", output, which)}
		}
	}
	refuse("FILE", file)
	for _, name := range []string{"into", "wasm", "rtds-file"} {
		if f := cmd.Flags().Lookup(name); f != nil {
			refuse("--"+name, f.Value.String())
		}
	}
	return err
}

// commandLine returns the words of how the command was called, as far as they decide what is written.
func commandLine(cmd *cobra.Command, file string) ([]string, error) {
	words := append(strings.Fields(cmd.CommandPath()), file)
	var wrong error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, is := f.Value.(pflag.SliceValue); is {
			values = list.GetSlice()
		}
		for _, v := range values {
			if !utf8.ValidString(v) {
				wrong = &render.OptionError{Flag: f.Name, What: fmt.Sprintf("%q is not UTF-8", v)}
			}
			if f.Name != "output" {
				words = append(words, "--"+f.Name, v)
			}
		}
	})
	return words, wrong
}
