package manifests

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	strict "sigs.k8s.io/yaml"

	"github.com/tuma-sms/tuma/deploy/schemas"
)

// validators has the compiled schemas of the kinds that were validated so far. It is safe for concurrent use.
var validators = struct {
	sync.Mutex
	known map[string]*jsonschema.Schema
}{known: map[string]*jsonschema.Schema{}}

// validate checks an object against the schema of its kind. A field that is not in the schema is an error, as
// in `kubectl apply --validate=strict`.
func validate(o object) error {
	kind := o.text("apiVersion") + "/" + o.text("kind")
	validators.Lock()
	defer validators.Unlock()
	schema := validators.known[kind]
	if schema == nil {
		var err error
		if schema, err = compile(kind); err != nil {
			return fmt.Errorf("schema of %s: %w", kind, err)
		}
		validators.known[kind] = schema
	}
	// The validator needs numbers in the types of encoding/json.
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	if err := schema.Validate(v); err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	return nil
}

// compile returns the schema of a kind, such as "apps/v1/Deployment".
func compile(kind string) (*jsonschema.Schema, error) {
	if custom, ok := schemas.Custom[kind]; ok {
		return compileCustom(custom.Source, custom.File, kind)
	}
	dir, err := schemas.Kubernetes.Dir()
	if err != nil {
		return nil, err
	}
	i := strings.LastIndex(kind, "/")
	group, name := kind[:i], kind[i+1:]
	file := "apis__" + strings.ReplaceAll(group, "/", "__")
	if !strings.Contains(group, "/") {
		file = "api__" + group
	}
	text, err := os.ReadFile(filepath.Join(dir, "api/openapi-spec/v3", file+"_openapi.json"))
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	closeObjects(document["components"])
	defined, _ := object(document).at("components", "schemas").(map[string]any)
	version := group[strings.LastIndex(group, "/")+1:]
	for id := range defined {
		if strings.HasPrefix(id, "io.k8s.api.") && strings.HasSuffix(id, "."+version+"."+name) {
			return compileDocument(document, "#/components/schemas/"+id)
		}
	}
	return nil, errors.New("kubernetes has no such kind")
}

// compileCustom returns the schema of a kind from the file that defines it.
func compileCustom(s schemas.Source, file, kind string) (*jsonschema.Schema, error) {
	dir, err := s.Dir()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	var definition object
	if err := strict.Unmarshal(text, &definition); err != nil {
		return nil, err
	}
	versions, _ := definition.at("spec", "versions").([]any)
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if definition.text("spec", "group")+"/"+object(version).text("name")+"/"+definition.text("spec", "names", "kind") == kind {
			schema := object(version).at("schema", "openAPIV3Schema")
			closeObjects(schema)
			return compileDocument(schema, "")
		}
	}
	return nil, fmt.Errorf("%s does not define it", file)
}

func compileDocument(document any, fragment string) (*jsonschema.Schema, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2019)
	if err := c.AddResource("mem:///schema.json", parsed); err != nil {
		return nil, err
	}
	return c.Compile("mem:///schema.json" + fragment)
}

// closeObjects changes every schema that lists properties, so that it refuses other properties. It does not
// change a schema that keeps unknown properties.
func closeObjects(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			closeObjects(item)
		}
	case map[string]any:
		if properties, ok := v["properties"].(map[string]any); ok {
			_, more := v["additionalProperties"]
			if keep, _ := v["x-kubernetes-preserve-unknown-fields"].(bool); !keep && !more {
				v["additionalProperties"] = false
			}
			// A key below "properties" is the name of a property and not a keyword.
			for _, property := range properties {
				closeObjects(property)
			}
		}
		for key, item := range v {
			if key != "properties" && key != "default" && key != "enum" {
				closeObjects(item)
			}
		}
	}
}

func newLineReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }
