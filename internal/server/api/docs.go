package api

import (
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsText string

var docsPage = template.Must(template.New("docs").Parse(docsText))

// The type "documented" describes one operation on the page of the documentation.
type documented struct {
	ID, Method, Path, Summary, Description, Scope string
	Parameters                                    []*huma.Param
	Fields                                        []documentedField
}

type documentedField struct {
	Name, Type, Doc string
	Required        bool
}

// The method "docs" serves a page that is made from the OpenAPI document. The page has no script, and
// loads nothing.
func (a *API) docs(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
	if err := docsPage.Execute(w, map[string]any{"Version": a.Version, "Operations": a.documented()}); err != nil {
		a.Logger.Debug().Err(err).Msg("the page of the documentation was not sent")
	}
}

func (a *API) documented() (out []documented) {
	document := a.huma.OpenAPI()
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		item := document.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op == nil {
				continue
			}
			d := documented{ID: op.OperationID, Method: op.Method, Path: path, Summary: op.Summary, Description: op.Description, Parameters: op.Parameters}
			d.Scope, _ = op.Extensions["x-scope"].(string)
			if op.RequestBody != nil {
				if media := op.RequestBody.Content["application/json"]; media != nil {
					d.Fields = fieldsOfSchema(document.Components.Schemas, media.Schema)
				}
			}
			out = append(out, d)
		}
	}
	return out
}

// fieldsOfSchema returns the members of an object.
func fieldsOfSchema(all huma.Registry, s *huma.Schema) (out []documentedField) {
	if s != nil && s.Ref != "" {
		s = all.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		kind := p.Type
		if len(p.Enum) > 0 {
			var words []string
			for _, e := range p.Enum {
				if word, ok := e.(string); ok {
					words = append(words, word)
				}
			}
			kind = strings.Join(words, " | ")
		}
		out = append(out, documentedField{name, kind, p.Description, slices.Contains(s.Required, name)})
	}
	return out
}
