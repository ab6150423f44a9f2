package httpclient

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

// formRequest returns a request of a gateway's callback.
func formRequest(method, target, contentType, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func TestCallback_ReadsOnlyItsForm(t *testing.T) {
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
		"a body without a type":   {both, post, "/", "", "a=1", url.Values{"a": {"1"}}, 0},
		"a body of another type":  {both, post, "/", "text/plain", "a=1", url.Values{"a": {"1"}}, 0},
		"JSON is one odd field":   {both, post, "/", "application/json", `{"a":1}`, url.Values{`{"a":1}`: {""}}, 0},
		"multipart":               {both, post, "/", "Multipart/form-data; boundary=x", "--x--", nil, 400},
		"60 KB":                   {both, post, "/", FormContentType, "a=" + strings.Repeat("x", 60<<10), url.Values{"a": {strings.Repeat("x", 60<<10)}}, 0},
		"65 KB":                   {both, post, "/", FormContentType, "a=" + strings.Repeat("x", 65<<10), nil, 400},
		"65 KB of a query":        {both, get, "/?a=" + strings.Repeat("x", 65<<10), "", "", nil, 400},
		"100 fields":              {both, post, "/", FormContentType, strings.Repeat("a&", 99) + "a", url.Values{"a": make([]string, 100)}, 0},
		"101 fields":              {both, post, "/", FormContentType, strings.Repeat("a&", 100) + "a", nil, 400},
		"101 fields of a query":   {both, get, "/?" + strings.Repeat("&", 100), "", "", nil, 400},
		"no field between":        {both, post, "/", FormContentType, "&a=1&&=2&", url.Values{"a": {"1"}, "": {"2"}}, 0},
		"an = in a value":         {both, post, "/", FormContentType, "a=1=2", url.Values{"a": {"1=2"}}, 0},
		"no escape":               {both, post, "/", FormContentType, "a=%zz&b=50%+off&c=%&d=%4&e=%%34", url.Values{"a": {"%zz"}, "b": {"50% off"}, "c": {"%"}, "d": {"%4"}, "e": {"%4"}}, 0},
		"no escape in a query":    {both, get, "/?msg=50%+off", "", "", url.Values{"msg": {"50% off"}}, 0},
		"semicolons in a query":   {both, get, "/?msg=a;b&c=1;d=2", "", "", url.Values{"msg": {"a;b"}, "c": {"1;d=2"}}, 0},
		"semicolons in a body":    {both, post, "/", FormContentType, "msg=a;b", url.Values{"msg": {"a;b"}}, 0},
		"an odd query and a body": {both, post, "/?utm=a;b&%zz", FormContentType, "a=1", url.Values{"a": {"1"}}, 0},
		"not in UTF-8":            {both, post, "/", FormContentType, "a=caf%e9%ff&b%ff=\xff", url.Values{"a": {"caf\ufffd"}, "b\ufffd": {"\ufffd"}}, 0},
		"NUL":                     {both, post, "/", FormContentType, "a=x%00y\x00&b%00=%C3%00%A9", url.Values{"a": {"xy"}, "b": {"é"}}, 0},
		"GET where only POST":     {[]string{post}, get, "/?a=1", "", "", nil, 405},
		"POST where only GET":     {[]string{get}, post, "/", FormContentType, "a=1", nil, 405},
		"PUT":                     {both, http.MethodPut, "/", FormContentType, "a=1", nil, 405},
		"HEAD":                    {both, http.MethodHead, "/?a=1", "", "", nil, 405},
		"no method at all":        {nil, get, "/", "", "", nil, 405},
	} {
		w := httptest.NewRecorder()
		got, ok := CallbackForm(w, formRequest(tc.method, tc.target, tc.contentType, tc.body), tc.methods...)
		if ok != (tc.want != nil) {
			t.Errorf("%s: got ok %v, want the opposite", name, ok)
		}
		if ok && cmp.Diff(tc.want, got) != "" {
			t.Errorf("%s: got %.100v, want %.100v", name, got, tc.want)
		}
		answered := w.Body.Len() > 0
		if answered == ok || !ok && w.Code != tc.status {
			t.Errorf("%s: got the answer %d %q, want the status of the case, or no answer for a valid form", name, w.Code, w.Body)
		}
		if allow := strings.Join(w.Header().Values("Allow"), " "); w.Code == 405 && allow != strings.Join(tc.methods, " ") {
			t.Errorf("%s: got the header Allow %q, want the allowed methods", name, allow)
		}
	}
}

func TestGuardPath_ChecksTheLastElement(t *testing.T) {
	t.Parallel()
	const secret = "l0ng-and-random"
	for name, tc := range map[string]struct {
		secret providers.Secret
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
	} {
		passed := false
		w := httptest.NewRecorder()
		guarded, err := GuardPath(tc.secret, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			passed = true
			w.WriteHeader(http.StatusTeapot)
		}))
		if err != nil {
			t.Errorf("%s: got the error %v, want none", name, err)
			continue
		}
		guarded.ServeHTTP(w, formRequest(http.MethodPost, tc.target, "", ""))
		want := map[bool]int{true: http.StatusTeapot, false: http.StatusNotFound}[tc.passes]
		if passed != tc.passes || w.Code != want || strings.Contains(w.Body.String(), tc.secret.Reveal()) {
			t.Errorf("%s: got passed %v and the answer %d %q, want those of the case and no secret", name, passed, w.Code, w.Body)
		}
	}
}

func TestGuardPath_InvalidSecretIsRefused(t *testing.T) {
	t.Parallel()
	for _, secret := range []providers.Secret{"", "/", ".", "..", "a/hunter", "/hunter", "hunter/"} {
		h, err := GuardPath(secret, http.NotFoundHandler())
		if h != nil || err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("the secret %q: got the handler %v and the error %v, want no handler and an error without the secret", secret.Reveal(), h, err)
		}
	}
}

// FuzzParseForm compares the lenient parser with url.ParseQuery for forms that both can parse.
func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{"a=1&a=2&b=%2B%26+%E2%82%AC", "msg=a;b", "msg=50%+off", "&=&%zz=%", "id=%00&msg=caf%e9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		form, ok := parseForm(text)
		if ok != (len(text) <= 64<<10 && strings.Count(text, "&") < 100) {
			t.Fatalf("%.100q: got ok %v, want true exactly for a form within the limits", text, ok)
		}
		fields := 0
		for name, values := range form {
			fields += len(values)
			for _, s := range append(values, name) {
				if !utf8.ValidString(s) || strings.ContainsRune(s, 0) || len(s) > 3*len(text) {
					t.Fatalf("%.100q: got %.100q, want valid UTF-8 without NUL", text, s)
				}
			}
		}
		if fields > 100 {
			t.Fatalf("got %d fields, want at most 100", fields)
		}
		strict, err := url.ParseQuery(text)
		if clean := strings.ToValidUTF8(text, "") == text && !strings.ContainsAny(text, "%\x00"); ok && err == nil && clean && !cmp.Equal(strict, form) {
			t.Fatalf("%q: got %q, want %q as from url.ParseQuery", text, form, strict)
		}
		if again, _ := parseForm(form.Encode()); ok && len(form.Encode()) <= 64<<10 && !cmp.Equal(form, again) {
			t.Fatalf("%q: got %q, but %q after encoding and parsing again; want the same", text, form, again)
		}
	})
}

func TestSameSecret(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		secret providers.Secret
		given  string
		want   bool
	}{
		{hunter, hunter, true}, {"x", "x", true}, {"é\x00", "é\x00", true}, {providers.Secret(strings.Repeat("x", 1<<16)), strings.Repeat("x", 1<<16), true},
		{hunter, "", false}, {"", "", false}, {"", "x", false}, {"x", "xx", false}, {"xx", "x", false}, {"x", "X", false}, {"x", "x ", false},
		{mask, hunter, false}, {hunter, mask, false},
	} {
		if got := SameSecret(tc.secret, tc.given); got != tc.want {
			t.Errorf("the secret %.20q, given %.20q: got %v, want the opposite", tc.secret.Reveal(), tc.given, got)
		}
	}
}

func TestTaken_AnswersByTheError(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{http.StatusNoContent: nil, http.StatusInternalServerError: errors.New("redis of " + hunter + " is away")} {
		w := httptest.NewRecorder()
		Taken(w, err)
		if w.Code != want || strings.Contains(w.Body.String(), hunter) || (w.Body.Len() == 0) != (err == nil) {
			t.Errorf("take returned %v: got the answer %d %q, want 204 without a body, or 500 without the error's text", err, w.Code, w.Body)
		}
	}
}

func ExampleGuardPath() {
	handler, err := GuardPath("l0ng-and-random", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, ok := CallbackForm(w, r, http.MethodPost)
		if !ok {
			return
		}
		fmt.Println("status", form.Get("status"))
		Taken(w, nil)
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
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
