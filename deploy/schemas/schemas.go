// Package schemas finds the schemas of Kubernetes objects in the Go modules of the projects that define
// them.
package schemas

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// Source is a module that carries schemas of objects. Its version and checksum are fixed, so the module
// proxy cannot change the result of a test.
type Source struct{ Module, Version, Sum string }

// KubernetesVersion is the version of the API with which the manifests are checked.
const KubernetesVersion = "v1.33.4"

// Kubernetes is the module whose folder "api" has the OpenAPI documents of the API server.
var Kubernetes = Source{"k8s.io/kubernetes", KubernetesVersion, "h1:T1d5FLUYm3/KyUeV7YJhKTR980zHCHb7K2xhCSo3lE8="}

// KEDA is the module that has the definitions of KEDA's kinds, and the source of KEDA's programs.
var KEDA = Source{"github.com/kedacore/keda/v2", "v2.21.0", "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps="}

var (
	prometheus      = Source{"github.com/prometheus-operator/prometheus-operator", "v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="}
	externalSecrets = Source{"github.com/external-secrets/external-secrets", "v1.3.2", "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ="}
)

// Definition is a file of a module. The file defines a kind that is not part of Kubernetes.
type Definition struct {
	Source
	File string
}

// Custom are the definitions by kind, such as keda.sh/v1alpha1/ScaledObject.
var Custom = map[string]Definition{
	"keda.sh/v1alpha1/ScaledObject":           {KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml"},
	"monitoring.coreos.com/v1/ServiceMonitor": {prometheus, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
	"monitoring.coreos.com/v1/PrometheusRule": {prometheus, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
	"external-secrets.io/v1/ExternalSecret":   {externalSecrets, "config/crds/bases/external-secrets.io_externalsecrets.yaml"},
}

// Dir returns the folder of the module, and downloads it first if necessary. It returns an error if the
// checksum differs.
func (s Source) Dir() (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", s.Module+"@"+s.Version)
	cmd.Dir = os.TempDir() // so that no go.mod of another module applies
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("download %s: %w: %s", s.Module, err, out)
	}
	var got struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &got); err != nil {
		return "", err
	}
	if got.Sum != s.Sum {
		return "", fmt.Errorf("download %s: got the checksum %s, want %s", s.Module, got.Sum, s.Sum)
	}
	return got.Dir, nil
}
