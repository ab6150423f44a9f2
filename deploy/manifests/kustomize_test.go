package manifests

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	strict "sigs.k8s.io/yaml"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

const kustomizeDir = "../kustomize"

// The function "build" renders a folder like `kubectl kustomize`.
func build(t *testing.T, folder string) []object {
	t.Helper()
	result, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), kustomizeDir+"/"+folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err := result.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	objects, err := parseObjects(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// kustomizations maps each folder to a file of values. With this file, Helm must make the same objects.
var kustomizations = map[string]string{
	"base":                "",
	"overlays/dev":        chartDir + "/ci/dev.yaml",
	"overlays/production": chartDir + "/ci/production.yaml",
}

// TestKustomize_IsValid checks the objects of every folder in the same way as the objects of the chart.
func TestKustomize_IsValid(t *testing.T) {
	t.Parallel()
	redis := deploytest.Redis(t, "--appendonly", "yes")
	for folder := range kustomizations {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			objects := build(t, folder)
			for _, o := range objects {
				if err := validate(o); err != nil {
					t.Error(err)
				}
				if folder != "base" && o.text("metadata", "namespace") != namespace {
					t.Errorf("%s is in the namespace %q, want %s", o, o.text("metadata", "namespace"), namespace)
				}
			}
			for _, problem := range inspect(objects, []string{"Secret/tuma-redis", "Secret/tuma-secrets"}) {
				t.Error(problem)
			}
			if folder != "base" {
				reads(t, configOf(t, objects), redis)
			}
		})
	}
}

// TestKustomize_EqualsTheChart compares each folder with the chart, object by object.
func TestKustomize_EqualsTheChart(t *testing.T) {
	t.Parallel()
	for folder, file := range kustomizations {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			own := map[string]any{}
			if file != "" {
				own = values(t, file)
			}
			got, want := comparableText(t, build(t, folder)), comparableText(t, mustRender(t, own).objects)
			names := slices.Sorted(maps.Keys(want))
			if have := slices.Sorted(maps.Keys(got)); !slices.Equal(have, names) {
				t.Errorf("got the objects %v, want %v", have, names)
			}
			for _, name := range names {
				if got[name] != "" && got[name] != want[name] {
					t.Errorf("%s: kustomize has\n%s\nand the chart has\n%s", name, got[name], want[name])
				}
			}
		})
	}
}

var hashed = regexp.MustCompile(`tuma-config-[0-9a-z]{10}`)

// comparableText returns the text of each object without the parts that Helm or kustomize adds: labels of
// the tool, checksums, hashes and the namespace. It leaves out Secrets, which only kustomize makes,
// and the pod of `helm test`, which only Helm makes.
func comparableText(t *testing.T, objects []object) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range objects {
		if o.text("kind") == "Secret" || o.text("kind") == "Pod" {
			continue
		}
		metadata, _ := o.at("metadata").(map[string]any)
		delete(metadata, "namespace")
		labels, _ := metadata["labels"].(map[string]any)
		for _, key := range []string{"helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"} {
			delete(labels, key)
		}
		if template, ok := o.at("spec", "template", "metadata").(map[string]any); ok {
			annotations, _ := template["annotations"].(map[string]any)
			delete(annotations, "checksum/config")
			if len(annotations) == 0 {
				delete(template, "annotations")
			}
		}
		if data, ok := o.at("data").(map[string]any); ok {
			var config any
			if err := strict.Unmarshal([]byte(data["tuma.yaml"].(string)), &config); err != nil {
				t.Fatal(err)
			}
			data["tuma.yaml"] = config
		}
		text, err := json.MarshalIndent(o, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		out[hashed.ReplaceAllString(o.String(), "tuma-config")] = hashed.ReplaceAllString(string(text), "tuma-config")
	}
	return out
}
