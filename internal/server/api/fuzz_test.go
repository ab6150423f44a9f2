package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/keys"

	"github.com/rs/zerolog"
)

var (
	fuzzRequests = flag.Int("api.requests", 1000, "requests of TestFuzz_EveryOperation")
	fuzzSeed     = flag.Uint64("api.seed", 1, "seed of TestFuzz_EveryOperation")
)

// fuzzer makes requests from the OpenAPI document. Most requests are nearly right, and some are hostile.
type fuzzer struct {
	*rand.Rand
	document *huma.OpenAPI
}

// The list "hostile" has texts that requests contain now and then.
var hostile = []string{"", " ", "\x00", "\r\nX: y", "../../etc/passwd", "%2e%2e%2f", "'; DROP", "{{", "}}", "{{name}}", "🙂", "\xff\xfe", "-1", "1e999", "null",
	strings.Repeat("a", 300), strings.Repeat("{", 100), "254712345678", "+254712345678", "0712345678", "c0", "m0", "kobo-main", "ACME", "KE", "kobo-main\n"}

func (f *fuzzer) text() string {
	if f.IntN(3) > 0 {
		return []string{"c0", "c1", "m0", "kobo-main", "+254712345678", "KE", "Hello", "ACME", "2030-01-01T00:00:00Z"}[f.IntN(9)]
	}
	return hostile[f.IntN(len(hostile))]
}

// The method "value" returns a value for a schema. Now and then the value is wrong.
func (f *fuzzer) value(s *huma.Schema, depth int) any {
	if s != nil && s.Ref != "" {
		s = f.document.Components.Schemas.SchemaFromRef(s.Ref)
	}
	if s == nil || depth > 5 || f.IntN(12) == 0 {
		return []any{nil, true, -1, 1.5, f.text(), []any{}, map[string]any{"x": f.text()}}[f.IntN(7)]
	}
	if len(s.Enum) > 0 && f.IntN(4) > 0 {
		return s.Enum[f.IntN(len(s.Enum))]
	}
	switch s.Type {
	case huma.TypeBoolean:
		return f.IntN(2) == 0
	case huma.TypeInteger, huma.TypeNumber:
		return []any{0, 1, 2, 50, -1, 1 << 40, 0.5}[f.IntN(7)]
	case huma.TypeArray:
		out := make([]any, f.IntN(4))
		for i := range out {
			out[i] = f.value(s.Items, depth+1)
		}
		return out
	case huma.TypeObject:
		out := map[string]any{}
		for name, p := range s.Properties {
			if slices.Contains(s.Required, name) && f.IntN(8) > 0 || f.IntN(3) == 0 {
				out[name] = f.value(p, depth+1)
			}
		}
		if f.IntN(15) == 0 {
			out[f.text()] = f.text()
		}
		return out
	}
	if s.Format == "date-time" && f.IntN(3) > 0 {
		return "2030-01-01T00:00:00Z"
	}
	return f.text()
}

// The method "request" returns a request for an operation.
func (f *fuzzer) request(base, method, path string, op *huma.Operation) (*http.Request, error) {
	query := url.Values{}
	headers := map[string]string{}
	for _, p := range op.Parameters {
		text := fmt.Sprint(f.value(p.Schema, 3))
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(text))
		case f.IntN(2) == 0:
		case p.In == "query":
			query.Set(p.Name, text)
		case !strings.ContainsAny(text, "\r\n\x00"):
			headers[p.Name] = text
		}
	}
	query.Del("wait") // without "wait", because a request that waits takes up to 30 s
	body, media := "", "application/json"
	if op.RequestBody != nil {
		var names []string
		for name := range op.RequestBody.Content {
			names = append(names, name)
		}
		slices.Sort(names)
		media = names[f.IntN(len(names))]
		switch {
		case media == "multipart/form-data" && f.IntN(4) > 0:
			media += "; boundary=b"
			body = "--b\r\nContent-Disposition: form-data; name=\"campaign\"\r\n\r\n{\"id\":\"c1\",\"via\":\"kobo-main\",\"body\":\"x\"}\r\n" +
				"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nphone\n+254712345678\n\r\n--b--\r\n"
			if f.IntN(2) == 0 {
				body = body[:f.IntN(len(body)+1)]
			}
		case media != "application/json" || f.IntN(10) == 0:
			body = []string{"phone,name\n0712345678,A\n", "phone\n", "{", `{"phone":"0712345678"}`, strings.Repeat("0712345678\n", 50), f.text()}[f.IntN(6)]
		default:
			text, err := json.Marshal(f.value(op.RequestBody.Content[media].Schema, 0))
			if err != nil {
				return nil, err
			}
			body = string(text)
		}
	}
	r, err := http.NewRequest(method, base+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	if body != "" {
		r.Header.Set("Content-Type", media)
	}
	return r, nil
}

// target is an operation that gets requests.
type target struct {
	method, path string
	op           *huma.Operation
}

// targetsOf returns the operations of the document that the fuzzer calls. It leaves out two operations: "revoke-key"
// may revoke the key of the test, and the answer of "stream-events" does not end.
func targetsOf(document *huma.OpenAPI) (out []target) {
	for path, item := range document.Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete} {
			if op != nil && op.OperationID != "revoke-key" && op.OperationID != "stream-events" {
				out = append(out, target{method, path, op})
			}
		}
	}
	slices.SortFunc(out, func(a, b target) int { return strings.Compare(a.method+a.path, b.method+b.path) })
	return out
}

// checkForm returns why an answer in JSON does not have the documented form. It returns "" if the answer has that
// form.
func checkForm(document *huma.OpenAPI, documented *huma.Response, text []byte) string {
	var got any
	if err := json.Unmarshal(text, &got); err != nil {
		return err.Error()
	}
	for name, media := range documented.Content {
		if media.Schema == nil || !strings.Contains(name, "json") || strings.Contains(name, "ndjson") {
			continue
		}
		result := &huma.ValidateResult{}
		huma.Validate(document.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, got, result)
		if len(result.Errors) > 0 {
			return fmt.Sprint(result.Errors)
		}
	}
	return ""
}

// Random requests to every operation must not get a 5xx. Every answer has a documented status. If it is
// JSON, it also has the documented form.
func TestFuzz_EveryOperation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeAdmin)
	r.want("c0", r.do(key, "POST", "/v1/campaigns", `{"id":"c0","via":"kobo-main","country":"KE","body":"x","recipients":[{"number":"0712345678"}]}`), http.StatusAccepted)
	r.want("m0", r.do(key, "POST", "/v1/messages", `{"id":"m0",`+oneCode[1:]), http.StatusAccepted)
	r.receiver("kobo-main", "c0")
	document := New(Config{Client: r.client, Keys: r.keys, Audit: audit.New(r.rdb), Webhooks: r.hooks, Logger: zerolog.Nop(), Version: "test"}).huma.OpenAPI()
	f := &fuzzer{rand.New(rand.NewPCG(*fuzzSeed, 1)), document}
	targets := targetsOf(document)
	seen := map[int]int{}
	for range *fuzzRequests {
		x := targets[f.IntN(len(targets))]
		req, err := f.request(r.url, x.method, x.path, x.op)
		if err != nil {
			continue // net/http refuses to send this request
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", x.method, req.URL, err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			t.Fatalf("%s %s: %v", x.method, req.URL, err)
		}
		seen[res.StatusCode]++
		documented := x.op.Responses[strconv.Itoa(res.StatusCode)]
		if documented == nil && res.StatusCode == http.StatusOK {
			documented = x.op.Responses["202"] // a repeated request
		}
		elsewhere := res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusMethodNotAllowed || res.StatusCode == http.StatusMovedPermanently
		if res.StatusCode >= 500 || documented == nil && !elsewhere {
			t.Errorf("seed %d: %s %s got %d: %s", *fuzzSeed, x.method, req.URL, res.StatusCode, text)
			continue
		}
		if documented == nil || !strings.Contains(res.Header.Get("Content-Type"), "json") || strings.Contains(res.Header.Get("Content-Type"), "ndjson") {
			continue
		}
		if x.op.OperationID == "create-campaign" && res.StatusCode < 300 {
			continue // a receipt, or a forecast
		}
		if problem := checkForm(document, documented, text); problem != "" {
			t.Errorf("%s %s: the answer %s has another form: %s", x.method, req.URL, text, problem)
		}
	}
	t.Logf("seed %d: answers by status %v", *fuzzSeed, seen)
	if seen[200]+seen[202] < *fuzzRequests/20 || seen[422] < *fuzzRequests/20 {
		t.Errorf("answers by status are %v: too few requests are right, or too few are wrong", seen)
	}
}
