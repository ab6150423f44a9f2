package manifests

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
)

// podSpec returns the pod of a Deployment or Pod, or nil.
func podSpec(o object) object {
	path := []string{"spec", "template", "spec"}
	if o.text("kind") == "Pod" {
		path = path[:1]
	}
	spec, _ := o.at(path...).(map[string]any)
	if o.text("kind") != "Pod" && o.text("kind") != "Deployment" {
		return nil
	}
	return spec
}

// podLabels returns the labels of the pods of a Deployment or Pod.
func podLabels(o object) map[string]any {
	path := []string{"spec", "template", "metadata", "labels"}
	if o.text("kind") == "Pod" {
		path = path[2:]
	}
	labels, _ := o.at(path...).(map[string]any)
	return labels
}

// The function "list" returns the objects of the list at a path of keys.
func list(o object, path ...string) (out []object) {
	items, _ := o.at(path...).([]any)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func containers(spec object) []object { return list(spec, "containers") }

// The function "fits" reports whether a label selector selects the pods of an object.
func fits(selector any, o object) bool {
	want, _ := selector.(map[string]any)
	labels := podLabels(o)
	for key, value := range want {
		if labels[key] != value {
			return false
		}
	}
	return len(want) > 0
}

// The function "inspect" finds mistakes that a schema cannot find: references to objects that do not exist, and pods
// with more rights than they need. The parameter "known" lists the objects that the user creates, such as
// Secret/tuma-redis.
func inspect(objects []object, known []string) (problems []string) {
	names := slices.Clone(known)
	var pods []object
	for _, o := range objects {
		names = append(names, o.String())
		if o.text("kind") == "ExternalSecret" {
			names = append(names, "Secret/"+o.text("spec", "target", "name"))
		}
		if podSpec(o) != nil {
			pods = append(pods, o)
		}
	}
	say := func(o object, format string, args ...any) {
		problems = append(problems, o.String()+": "+fmt.Sprintf(format, args...))
	}
	needs := func(o object, kind, name string) {
		if name != "" && !slices.Contains(names, kind+"/"+name) {
			say(o, "refers to %s/%s, which does not exist", kind, name)
		}
	}
	for _, o := range objects {
		if podSpec(o) != nil {
			inspectPod(o, say, needs)
		}
		inspectTargets(o, objects, say, needs)
		selector, selects := selectorOf(o)
		if !selects {
			continue
		}
		if o.text("kind") == "Deployment" && !fits(selector, o) {
			say(o, "its selector does not fit its pods")
		}
		selected := slices.DeleteFunc(slices.Clone(pods), func(pod object) bool { return !fits(selector, pod) })
		if len(selected) == 0 {
			say(o, "its selector %v fits no pod", selector)
		}
		for _, pod := range selected {
			inspectPorts(o, pod, say)
		}
	}
	return problems
}

// selectorOf returns the labels with which an object selects pods. The result "selects" is false for a kind that does
// not select pods.
func selectorOf(o object) (selector any, selects bool) {
	switch o.text("kind") {
	case "Service":
		return o.at("spec", "selector"), true
	case "Deployment", "PodDisruptionBudget":
		return o.at("spec", "selector", "matchLabels"), true
	case "NetworkPolicy":
		return o.at("spec", "podSelector", "matchLabels"), true
	}
	return nil, false
}

// inspectTargets checks the names of Services and Deployments to which an object refers.
func inspectTargets(o object, objects []object, say func(object, string, ...any), needs func(object, string, string)) {
	switch o.text("kind") {
	case "ScaledObject":
		needs(o, o.text("spec", "scaleTargetRef", "kind"), o.text("spec", "scaleTargetRef", "name"))
	case "ServiceMonitor":
		inspectMonitor(o, objects, say)
	case "Ingress":
		for _, rule := range list(o, "spec", "rules") {
			for _, path := range list(rule, "http", "paths") {
				needs(o, "Service", path.text("backend", "service", "name"))
			}
		}
	}
}

// inspectMonitor checks that a ServiceMonitor selects a Service that has the ports of the ServiceMonitor.
func inspectMonitor(o object, objects []object, say func(object, string, ...any)) {
	want, _ := o.at("spec", "selector", "matchLabels").(map[string]any)
	for _, service := range objects {
		labels, _ := service.at("metadata", "labels").(map[string]any)
		matches := service.text("kind") == "Service"
		for key, value := range want {
			matches = matches && labels[key] == value
		}
		if !matches {
			continue
		}
		for _, endpoint := range list(o, "spec", "endpoints") {
			if !slices.ContainsFunc(list(service, "spec", "ports"), func(p object) bool { return p.text("name") == endpoint.text("port") }) {
				say(o, "%s has no port %s", service, endpoint.text("port"))
			}
		}
		return
	}
	say(o, "its selector fits no Service")
}

// inspectPorts checks that a pod has the named ports to which a Service refers.
func inspectPorts(o, pod object, say func(object, string, ...any)) {
	for _, port := range list(o, "spec", "ports") {
		if name := port.text("targetPort"); name != "" && !hasPort(pod, name) {
			say(o, "%s has no port %s", pod, name)
		}
	}
}

func hasPort(pod object, name string) bool {
	return slices.ContainsFunc(containers(podSpec(pod)), func(c object) bool {
		return slices.ContainsFunc(list(c, "ports"), func(p object) bool { return p.text("name") == name })
	})
}

// inspectPod checks a pod: its volumes, Secrets, probes and quantities, and the rules of the Pod
// Security Standard "restricted".
func inspectPod(o object, say func(object, string, ...any), needs func(object, string, string)) {
	spec := podSpec(o)
	if name := spec.text("serviceAccountName"); name != "default" {
		needs(o, "ServiceAccount", name)
	}
	must := func(holder object, want any, path ...string) {
		if got := holder.at(path...); got != want {
			say(o, "%v is %v, want %v", path, got, want)
		}
	}
	must(spec, false, "automountServiceAccountToken")
	must(spec, true, "securityContext", "runAsNonRoot")
	must(spec, "RuntimeDefault", "securityContext", "seccompProfile", "type")
	if user, _ := spec.at("securityContext", "runAsUser").(float64); user == 0 {
		say(o, "runs as root")
	}
	var volumes []string
	for _, v := range list(spec, "volumes") {
		volumes = append(volumes, v.text("name"))
		needs(o, "ConfigMap", v.text("configMap", "name"))
		needs(o, "Secret", v.text("secret", "secretName"))
	}
	for _, c := range containers(spec) {
		must(c, false, "securityContext", "allowPrivilegeEscalation")
		must(c, true, "securityContext", "readOnlyRootFilesystem")
		if drop := fmt.Sprint(c.at("securityContext", "capabilities", "drop")); drop != "[ALL]" {
			say(o, "drops the capabilities %s, want [ALL]", drop)
		}
		mounted := map[string]bool{}
		for _, m := range list(c, "volumeMounts") {
			mounted[m.text("name")] = true
			if !slices.Contains(volumes, m.text("name")) {
				say(o, "mounts the volume %s, which does not exist", m.text("name"))
			}
		}
		for _, v := range volumes {
			if !mounted[v] {
				say(o, "the volume %s is not mounted", v)
			}
		}
		for _, e := range list(c, "envFrom") {
			needs(o, "Secret", e.text("secretRef", "name"))
		}
		for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
			if port := c.text(probe, "httpGet", "port"); port != "" && !hasPort(o, port) {
				say(o, "%s: no port %s", probe, port)
			}
		}
		if o.text("kind") == "Deployment" && c.at("readinessProbe") == nil {
			say(o, "has no readinessProbe")
		}
		inspectQuantities(o, c, say)
	}
}

// inspectQuantities checks the quantities of a container. Each container must request CPU and memory, and must have
// a memory limit.
func inspectQuantities(o, c object, say func(object, string, ...any)) {
	for _, path := range [][]string{{"requests", "cpu"}, {"requests", "memory"}, {"limits", "memory"}} {
		text := fmt.Sprint(c.at(append([]string{"resources"}, path...)...))
		if _, err := resource.ParseQuantity(text); err != nil {
			say(o, "%v: %q: %v", path, text, err)
		}
	}
}
