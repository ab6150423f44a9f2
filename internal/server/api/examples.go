package api

import (
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// exampleTime is the time in examples.
const exampleTime = "2030-01-01T08:00:00Z"

// addExamples gives each operation an example of its body and of its parameters, made from the examples of the
// fields.
func (a *API) addExamples() {
	document := a.huma.OpenAPI()
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op == nil {
				continue
			}
			for _, p := range op.Parameters {
				if p.Example == nil && (p.Required || len(p.Schema.Examples) > 0) {
					p.Example = exampleOf(document.Components.Schemas, p.Schema)
				}
			}
			if op.RequestBody == nil {
				continue
			}
			for name, media := range op.RequestBody.Content {
				switch name {
				case "application/json":
					media.Example = exampleOf(document.Components.Schemas, media.Schema)
				case "text/csv":
					media.Example = "phone,name\n+254712345678,Amina\n"
				case "application/x-ndjson":
					media.Example = `{"phone":"+254712345678","name":"Amina"}` + "\n"
				}
			}
		}
	}
}

// exampleOf returns an example for a schema. The example of an object has the required fields, and the fields for which
// the schema has an example.
func exampleOf(all huma.Registry, s *huma.Schema) any {
	if s.Ref != "" {
		s = all.SchemaFromRef(s.Ref)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Format == "date-time":
		return exampleTime
	}
	switch s.Type {
	case huma.TypeBoolean:
		return true
	case huma.TypeInteger, huma.TypeNumber:
		return 1
	case huma.TypeArray:
		return []any{exampleOf(all, s.Items)}
	case huma.TypeObject:
		out := map[string]any{}
		for name, p := range s.Properties {
			if slices.Contains(s.Required, name) || len(p.Examples) > 0 {
				out[name] = exampleOf(all, p)
			}
		}
		return out
	}
	return "text"
}
