package providers

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// formRequest is a request as a gateway's callback makes it.
func formRequest(method, target, contentType, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func TestTheFormOfACallback(t *testing.T) {
	t.Parallel()
	const get, post = http.MethodGet, http.MethodPost
	both := []string{get, post}
	for name, tc := range map[string]struct {
		methods                           []string
		method, target, contentType, body string
		want                              url.Values // nil: answered with status
		status                            int
	}{
		"body":                    {both, post, "/", FormContentType, "a=1&a=2&b=%2B%26+%E2%82%AC", url.Values{"a": {"1", "2"}, "b": {"+& €"}}, 0},
		"body with a charset":     {both, post, "/", FormContentType + "; charset=utf-8", "a=1", url.Values{"a": {"1"}}, 0},
		"nothing in the body":     {both, post, "/", FormContentType, "", url.Values{}, 0},
		"the query is not a body": {both, post, "/?a=9&b=9", FormContentType, "a=1", url.Values{"a": {"1"}}, 0},
		"query":                   {both, get, "/?a=1&b=%2B", "", "", url.Values{"a": {"1"}, "b": {"+"}}, 0},
		"the body is not a query": {both, get, "/?a=1", FormContentType, "b=2", url.Values{"a": {"1"}}, 0},
		"no query":                {both, get, "/", "", "", url.Values{}, 0},
		"JSON is no form":         {both, post, "/", "application/json", `{"a":1}`, url.Values{}, 0},
		"60 KB":                   {both, post, "/", FormContentType, "a=" + strings.Repeat("x", 60<<10), url.Values{"a": {strings.Repeat("x", 60<<10)}}, 0},
		"65 KB":                   {both, post, "/", FormContentType, "a=" + strings.Repeat("x", 65<<10), nil, 400},
		"a broken body":           {both, post, "/", FormContentType, "a=%zz", nil, 400},
		"a broken query":          {both, get, "/?a=%zz", "", "", nil, 400},
		"semicolons":              {both, get, "/?a=1;b=2", "", "", nil, 400},
		"GET where only POST":     {[]string{post}, get, "/?a=1", "", "", nil, 405},
		"POST where only GET":     {[]string{get}, post, "/", FormContentType, "a=1", nil, 405},
		"PUT":                     {both, http.MethodPut, "/", FormContentType, "a=1", nil, 405},
		"HEAD":                    {both, http.MethodHead, "/?a=1", "", "", nil, 405},
		"no method at all":        {nil, get, "/", "", "", nil, 405},
	} {
		w := httptest.NewRecorder()
		got, ok := CallbackForm(w, formRequest(tc.method, tc.target, tc.contentType, tc.body), tc.methods...)
		if ok != (tc.want != nil) {
			t.Errorf("%s: %v", name, ok)
		}
		if ok && cmp.Diff(tc.want, got) != "" {
			t.Errorf("%s: %.100v, want %.100v", name, got, tc.want)
		}
		answered := w.Body.Len() > 0
		if answered == ok || !ok && w.Code != tc.status {
			t.Errorf("%s: answered %d %q", name, w.Code, w.Body)
		}
		if allow := strings.Join(w.Header().Values("Allow"), " "); w.Code == 405 && allow != strings.Join(tc.methods, " ") {
			t.Errorf("%s: Allow %q", name, allow)
		}
	}
}

func TestAPathIsGuardedByItsLastElement(t *testing.T) {
	t.Parallel()
	const secret = "l0ng-and-random"
	for name, tc := range map[string]struct {
		secret Secret
		target string
		passes bool
	}{
		"last":               {secret, "/callbacks/" + secret, true},
		"alone":              {secret, "/" + secret, true},
		"with a slash after": {secret, "/callbacks/" + secret + "/", true},
		"with a query":       {secret, "/callbacks/" + secret + "?a=1", true},
		"escaped":            {"a b+c", "/callbacks/a%20b+c", true},
		"not last":           {secret, "/" + secret + "/reports", false},
		"only in the query":  {secret, "/callbacks?secret=" + secret, false},
		"longer":             {secret, "/callbacks/" + secret + "x", false},
		"shorter":            {secret, "/callbacks/" + secret[1:], false},
		"other case":         {secret, "/callbacks/" + strings.ToUpper(secret), false},
		"behind a dot":       {secret, "/callbacks/." + secret, false},
		"root":               {secret, "/", false},
		"no secret":          {"", "/", false},
		"no secret, a path":  {"", "/callbacks/", false},
		"a slash as one":     {"/", "/callbacks/", false},
	} {
		passed := false
		w := httptest.NewRecorder()
		GuardPath(tc.secret, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			passed = true
			w.WriteHeader(http.StatusTeapot)
		})).ServeHTTP(w, formRequest(http.MethodPost, tc.target, "", ""))
		want := map[bool]int{true: http.StatusTeapot, false: http.StatusNotFound}[tc.passes]
		if passed != tc.passes || w.Code != want || tc.secret != "" && tc.secret != "/" && strings.Contains(w.Body.String(), tc.secret.Reveal()) {
			t.Errorf("%s: passed %v, %d %q", name, passed, w.Code, w.Body)
		}
	}
}

func TestSameSecret(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		secret Secret
		given  string
		want   bool
	}{
		{hunter, hunter, true}, {"x", "x", true}, {"é\x00", "é\x00", true}, {Secret(strings.Repeat("x", 1<<16)), strings.Repeat("x", 1<<16), true},
		{hunter, "", false}, {"", "", false}, {"", "x", false}, {"x", "xx", false}, {"xx", "x", false}, {"x", "X", false}, {"x", "x ", false},
		{mask, hunter, false}, {hunter, mask, false},
	} {
		if got := SameSecret(tc.secret, tc.given); got != tc.want {
			t.Errorf("%.20q, %.20q: %v", tc.secret.Reveal(), tc.given, got)
		}
	}
}

func TestACallbackIsTakenOrComesAgain(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{http.StatusNoContent: nil, http.StatusInternalServerError: errors.New("redis of " + hunter + " is away")} {
		w := httptest.NewRecorder()
		Taken(w, err)
		if w.Code != want || strings.Contains(w.Body.String(), hunter) || (w.Body.Len() == 0) != (err == nil) {
			t.Errorf("%v: %d %q", err, w.Code, w.Body)
		}
	}
}

func ExampleGuardPath() {
	handler := GuardPath("l0ng-and-random", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, ok := CallbackForm(w, r, http.MethodPost)
		if !ok {
			return
		}
		fmt.Println("status", form.Get("status"))
		Taken(w, nil)
	}))
	for _, path := range []string{"/reports/guessed", "/reports/l0ng-and-random"} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("status=Success"))
		r.Header.Set("Content-Type", FormContentType)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Result().Body)
		fmt.Println(w.Code, strings.TrimSpace(string(body)))
	}
	// Output:
	// 404 404 page not found
	// status Success
	// 204
}
