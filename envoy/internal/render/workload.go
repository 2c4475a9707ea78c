package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// workload is what a patch has to know of the object that it changes.
type workload struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name, Namespace string }
	Spec       struct {
		Selector map[string]any // of a Service, labels; of others a selector of them
		Ports    []servicePort
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				HostNetwork    bool        `yaml:"hostNetwork"`
				GracePeriod    *int        `yaml:"terminationGracePeriodSeconds"`
				InitContainers []container `yaml:"initContainers"`
				Containers     []container
				Volumes        []struct{ Name string }
			}
		}
	}

	file   string
	others []workload // the Services of the same manifests
}

type container struct {
	Name      string
	Ports     []containerPort
	Lifecycle struct {
		PreStop yaml.Node `yaml:"preStop"`
	}
	Mounts []struct {
		Path string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type containerPort struct {
	Name     string
	Number   int `yaml:"containerPort"`
	Protocol string
}

type servicePort struct {
	Port       int
	TargetPort string `yaml:"targetPort"`
}

// workload returns the workload of the manifests.
func (o *KubernetesOptions) workload() (*workload, error) {
	refuse := func(format string, args ...any) error {
		said := strings.NewReplacer("yaml: unmarshal errors:\n  ", "", "\n  ", "; ") // by the library, in several lines
		return &document.Problem{File: o.File, What: said.Replace(fmt.Sprintf(format, args...))}
	}
	var found, services []workload
	var all []string
	objects, err := document.All(o.File, o.Manifests)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(objects); i++ {
		n := objects[i]
		var head struct {
			Kind  string
			Items []yaml.Node
		}
		if err := n.Decode(&head); err != nil {
			return nil, document.NotYAML(o.File, o.Manifests, err)
		}
		w := workload{file: o.File}
		switch {
		case head.Kind == "List":
			for i := range head.Items {
				objects = append(objects, &head.Items[i])
			}
			continue
		case head.Kind != "Service" && !slices.Contains(workloadKinds, head.Kind):
			continue
		}
		if err := n.Decode(&w); err != nil {
			return nil, document.NotYAML(o.File, o.Manifests, err)
		}
		if w.Kind == "Service" {
			services = append(services, w)
			continue
		}
		all = append(all, w.String())
		if o.Workload == "" || strings.EqualFold(o.Workload, w.String()) {
			found = append(found, w)
		}
	}
	kinds := strings.Join(workloadKinds[:2], ", ") + " or " + workloadKinds[2]
	switch {
	case len(all) == 0:
		return nil, refuse("holds no %s", kinds)
	case len(found) == 0:
		return nil, wrong("workload", o.Workload, " is not in %s, which holds %s", o.File, strings.Join(all, ", "))
	case len(found) > 1:
		return nil, &OptionError{"workload", fmt.Sprintf("is needed: %s holds %s", o.File, strings.Join(all, ", "))}
	case found[0].APIVersion != "apps/v1" || found[0].Metadata.Name == "" || len(found[0].Spec.Selector) == 0:
		return nil, refuse("%s: its apiVersion is not apps/v1, or it has no name or no selector", found[0].String())
	}
	if name := found[0].Metadata.Name; !dnsName.MatchString(name) {
		return nil, refuse("%s: %q is no name of an object: lower-case letters, digits, '-' and dots", found[0].Kind, name)
	}
	found[0].others = services
	return &found[0], nil
}

var workloadKinds = []string{"Deployment", "StatefulSet", "DaemonSet"}

func (w *workload) String() string { return w.Kind + "/" + w.Metadata.Name }

func (w *workload) grace() int {
	if seconds := w.Spec.Template.Spec.GracePeriod; seconds != nil {
		return *seconds
	}
	return 30 // the default of Kubernetes
}

// fit refuses what the patch would replace, and what cannot be with it. It returns the container that gets the hook.
func (w *workload) fit(o *KubernetesOptions, appPort int, taken map[int]string) (string, error) {
	pod := &w.Spec.Template.Spec
	refuse := func(format string, args ...any) error {
		return &document.Problem{File: w.file, What: w.String() + ": " + fmt.Sprintf(format, args...)}
	}
	if pod.HostNetwork {
		return "", refuse("hostNetwork: every program on the node reaches admin on its loopback, and no NetworkPolicy " +
			"is for the node's network")
	}
	for _, v := range pod.Volumes {
		if v.Name == "healthgate" || strings.HasPrefix(v.Name, "healthgate-") {
			return "", refuse("has a volume %q, which the patch would replace; give the manifests as they are without "+
				"healthgate", v.Name)
		}
	}
	var names []string
	for _, c := range slices.Concat(pod.Containers, pod.InitContainers) {
		if c.Name == "envoy" || c.Name == "healthgate" {
			return "", refuse("has a container %q, which the patch would replace", c.Name)
		}
		for _, p := range c.Ports {
			switch flag := taken[p.Number]; {
			case flag != "":
				return "", refuse("the container %q has the port %d, and so has Envoy by --%s. All containers of a pod share "+
					"one address: give them different ports", c.Name, p.Number, flag)
			case p.Name == "envoy" || p.Name == "envoy-metrics":
				return "", refuse("the container %q has a port named %s, as the patch has", c.Name, p.Name)
			}
		}
	}
	at := -1
	for i, c := range pod.Containers {
		names = append(names, c.Name)
		if c.Name == o.Container || o.Container == "" && len(pod.Containers) == 1 {
			at = i
		}
	}
	if at < 0 {
		return "", &OptionError{"container", fmt.Sprintf("is needed: the one that serves requests, of %s: %s", w,
			strings.Join(names, ", "))}
	}
	c := pod.Containers[at]
	if !c.Lifecycle.PreStop.IsZero() {
		return "", refuse("the container %q has a preStop hook, which the patch would replace; a container has one. Let "+
			"the application do at SIGTERM what the hook does", c.Name)
	}
	for _, m := range c.Mounts {
		if m.Path == "/healthgate" {
			return "", refuse("the container %q mounts something at /healthgate, where the command comes", c.Name)
		}
	}
	if len(c.Ports) > 0 && !slices.ContainsFunc(c.Ports, func(p containerPort) bool { return p.Number == appPort }) {
		return "", refuse("the container %q declares ports, which the NetworkPolicy opens, and not %d, the application's "+
			"by --cluster: correct one of them", c.Name, appPort)
	}
	open := map[string]bool{"envoy": true}
	for port, flag := range taken {
		open[strconv.Itoa(port)] = flag != "admin"
		open["envoy-metrics"] = open["envoy-metrics"] || port != 0 && flag == "metrics-listen"
	}
	for _, c := range slices.Concat(pod.Containers, pod.InitContainers) {
		for _, p := range c.Ports {
			open[p.Name], open[strconv.Itoa(p.Number)] = true, true
		}
	}
	return c.Name, w.services(refuse, appPort, open)
}

// services refuses Services that lead past Envoy, or to a port that is not open.
func (w *workload) services(refuse func(string, ...any) error, appPort int, open map[string]bool) error {
	for _, s := range w.others {
		selects := len(s.Spec.Selector) > 0 && s.Metadata.Namespace == w.Metadata.Namespace
		for key, value := range s.Spec.Selector {
			selects = selects && w.Spec.Template.Metadata.Labels[key] == value
		}
		for _, p := range s.Spec.Ports {
			switch target := cmp.Or(p.TargetPort, fmt.Sprint(p.Port)); {
			case !selects:
			case target == fmt.Sprint(appPort) || w.named(target) == appPort:
				return refuse("the Service %q leads to its port %d, past Envoy, and the NetworkPolicy closes that port: "+
					"write targetPort: envoy", s.Metadata.Name, appPort)
			case !open[target]:
				return refuse("the Service %q leads to the port %s, which no container declares, so the NetworkPolicy closes it: "+
					"write targetPort: envoy, or declare it", s.Metadata.Name, target)
			}
		}
	}
	return nil
}

// named returns the number of a port that a container has a name for.
func (w *workload) named(name string) int {
	for _, c := range w.Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name {
				return p.Number
			}
		}
	}
	return 0
}

// openPorts returns those that a NetworkPolicy lets in: Envoy's, and those of the containers but the application's.
func (w *workload) openPorts(appPort int, envoy ...int) []*yaml.Node {
	var out []*yaml.Node
	for _, port := range envoy {
		if port != 0 {
			out = append(out, part("policy_port", values{"port": port, "protocol": "TCP"}))
		}
	}
	for _, c := range slices.Concat(w.Spec.Template.Spec.Containers, w.Spec.Template.Spec.InitContainers) {
		for _, p := range c.Ports {
			if p.Number != appPort {
				out = append(out, part("policy_port", values{"port": p.Number, "protocol": cmp.Or(p.Protocol, "TCP")}))
			}
		}
	}
	return out
}
