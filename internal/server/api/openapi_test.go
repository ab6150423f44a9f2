package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/tuma-sms/tuma/internal/keys"
)

var documentFile = flag.String("api.document", "", "file that TestDocument_IsRightForAnotherLibrary writes the OpenAPI document to, for make clients")

// A library that shares no code with huma must accept the document and each of its examples. The requests of the
// examples, and the answers to these requests, must have the documented form.
func TestDocument_IsRightForAnotherLibrary(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	admin := r.key(nil, keys.ScopeAdmin)
	text := r.do("", "GET", "/openapi.json", "").body
	if *documentFile != "" {
		if err := os.WriteFile(*documentFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	document, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	document.Servers = openapi3.Servers{{URL: r.url}}
	router, err := legacy.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	exchanges, bodies := 0, 0
	for _, path := range slices.Sorted(maps.Keys(document.Paths.Map())) {
		operations := document.Paths.Value(path).Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			op := operations[method]
			if op.OperationID == "stream-events" { // the stream does not end
				continue
			}
			examples := map[string]string{"": ""}
			if op.RequestBody != nil {
				examples = bodyExamples(t, op)
				bodies += len(examples)
			}
			for media, body := range examples {
				exchanges++
				r.checkExchange(router, op, method, exampleTarget(t, path, op, media), media, body, admin)
			}
		}
	}
	if exchanges < 29 || bodies < 12 {
		t.Errorf("%d requests with %d bodies, want at least 29 and 12", exchanges, bodies)
	}
}

// bodyExamples returns the example of each media type of a body. Each media type except a form must have an
// example.
func bodyExamples(t *testing.T, op *openapi3.Operation) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, media := range op.RequestBody.Value.Content {
		text, isText := media.Example.(string)
		switch {
		case name == "multipart/form-data":
			continue
		case media.Example == nil:
			t.Errorf("%s has no example for %s", op.OperationID, name)
			continue
		case name == "application/json":
			all, err := json.Marshal(media.Example)
			if err != nil {
				t.Fatal(err)
			}
			text = string(all)
		case !isText:
			t.Errorf("%s: the example for %s must be a text", op.OperationID, name)
		}
		out[name] = text
	}
	return out
}

// exampleTarget returns the path and the query of an operation's example.
func exampleTarget(t *testing.T, path string, op *openapi3.Operation, media string) string {
	t.Helper()
	query := url.Values{}
	for _, p := range op.Parameters {
		example, ok := p.Value.Example.(string)
		switch {
		case p.Value.In == "path" && !ok:
			t.Errorf("%s: the parameter %s has no example", op.OperationID, p.Value.Name)
		case p.Value.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Value.Name+"}", url.PathEscape(example))
		case p.Value.In == "query" && p.Value.Required:
			query.Set(p.Value.Name, example)
		}
	}
	if op.OperationID == "create-campaign" && media != "application/json" {
		query = url.Values{"id": {strings.ReplaceAll(media, "/", "-")}, "via": {"kobo-main"}, "body": {"Hello {{name}}"}}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

// checkExchange sends a request, and validates it and its answer.
func (r *rig) checkExchange(router routers.Router, op *openapi3.Operation, method, target, media, body, key string) {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.url+target, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		req.Header.Set("Content-Type", media)
	}
	route, parameters, err := router.FindRoute(req)
	if err != nil {
		r.Fatalf("%s %s: %v", method, target, err)
	}
	input := &openapi3filter.RequestValidationInput{Request: req, PathParams: parameters, Route: route, Options: &openapi3filter.Options{
		IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, ExcludeRequestBody: media != "application/json"}}
	if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
		r.Errorf("%s: the example %s is not right: %v", op.OperationID, body, err)
	}
	req.Body = io.NopCloser(strings.NewReader(body))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatal(err)
	}
	// The campaign or account that an example names may not exist, or may be in another state.
	refused := res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusConflict || strings.Contains(string(text), "unknown account")
	if res.StatusCode >= 300 && !refused {
		r.Errorf("%s: the example %s got %d: %s", op.OperationID, body, res.StatusCode, text)
	}
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(text)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: !strings.Contains(res.Header.Get("Content-Type"), "json") || strings.Contains(res.Header.Get("Content-Type"), "ndjson")}}
	if err := openapi3filter.ValidateResponse(r.Context(), answer); err != nil {
		r.Errorf("%s: the answer %d %s has another form: %v", op.OperationID, res.StatusCode, text, err)
	}
}
