// Package manifests tests the Helm chart and the kustomize folders.
package manifests

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"

	"github.com/tuma-sms/tuma/deploy/deploytest"
	"github.com/tuma-sms/tuma/deploy/schemas"
)

func TestMain(m *testing.M) { deploytest.Main(m) }

const (
	chartDir  = "../helm/tuma"
	namespace = "sms"
	release   = "tuma"
)

// object is one Kubernetes object.
type object map[string]any

// The method "at" returns the value at a path of keys, or nil.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// The method "text" returns the text at a path of keys, or "".
func (o object) text(path ...string) string { s, _ := o.at(path...).(string); return s }

// String returns the kind and the name.
func (o object) String() string { return o.text("kind") + "/" + o.text("metadata", "name") }

// rendered has the objects that `helm install` would send, and the data that it would keep as the
// release.
type rendered struct {
	objects []object
	// notes is the text that Helm prints after an installation.
	notes string
	// kept is all that `helm get all` prints: values, manifests, hooks and notes.
	kept string
}

// The method "find" returns the object with the given kind and name.
func (r rendered) find(t *testing.T, name string) object {
	t.Helper()
	for _, o := range r.objects {
		if o.String() == name {
			return o
		}
	}
	t.Fatalf("no %s; have %v", name, r.objects)
	return nil
}

// The function "values" reads a file of values.
func values(t *testing.T, file string) map[string]any {
	t.Helper()
	v, err := chartutil.ReadValuesFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// parse parses values from the text of a test.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// valueSets returns the value files of the chart, by name.
func valueSets(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(chartDir + "/ci/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("got the value sets %v (%v), want at least six", files, err)
	}
	sets := map[string]string{}
	for _, f := range files {
		sets[strings.TrimSuffix(filepath.Base(f), ".yaml")] = f
	}
	return sets
}

// render works like `helm template`. It checks the values with the schema, and renders the chart.
func render(own map[string]any) (out rendered, err error) {
	c, err := loader.Load(chartDir)
	if err != nil {
		return out, err
	}
	caps := chartutil.DefaultCapabilities.Copy()
	kube, err := chartutil.ParseKubeVersion(schemas.KubernetesVersion)
	if err != nil {
		return out, err
	}
	caps.KubeVersion = *kube
	all, err := chartutil.ToRenderValues(c, own, chartutil.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true, Revision: 1}, caps)
	if err != nil {
		return out, err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return out, err
	}
	ownText, err := strict.Marshal(own)
	if err != nil {
		return out, err
	}
	kept := []string{string(ownText)}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		kept = append(kept, files[name])
		if strings.HasSuffix(name, "NOTES.txt") {
			out.notes = files[name]
			continue
		}
		objects, err := parseObjects(files[name])
		if err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
		out.objects = append(out.objects, objects...)
	}
	out.kept = strings.Join(kept, "\n---\n")
	return out, nil
}

// mustRender renders the chart, and fails the test after an error.
func mustRender(t *testing.T, own map[string]any) rendered {
	t.Helper()
	out, err := render(own)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// parseObjects splits a text into objects. A key that occurs twice is an error.
func parseObjects(text string) (out []object, err error) {
	d := yaml.NewYAMLReader(newLineReader(text))
	for {
		doc, err := d.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		var o map[string]any
		if err := strict.UnmarshalStrict(doc, &o); err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, doc)
		}
		if len(o) > 0 {
			out = append(out, o)
		}
	}
}

// configOf returns the tuma.yaml in the objects.
func configOf(t *testing.T, objects []object) string {
	t.Helper()
	for _, o := range objects {
		if text := o.text("data", "tuma.yaml"); o.text("kind") == "ConfigMap" && text != "" {
			return text
		}
	}
	t.Fatal("no ConfigMap has tuma.yaml")
	return ""
}
