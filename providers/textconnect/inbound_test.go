package textconnect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

const passed = "s3cr3t auth"

func forwarded(differs url.Values) url.Values {
	form := url.Values{
		"source": {"447777777771"}, "dest": {"447860000000"}, "msg": {"STOP & go\nçé😀"}, "id": {"9001"}, "receivedts": {"2026-07-01 13:30:45"}, "auth": {passed},
	}
	for name, value := range differs {
		form[name] = value
		if value == nil {
			form.Del(name)
		}
	}
	return form
}

// The function "call" forwards a message to the handler. It returns the response, and the messages that the
// consumer got.
func call(t testing.TB, method string, form url.Values, failure error) (*httptest.ResponseRecorder, []providers.Inbound) {
	t.Helper()
	var taken []providers.Inbound
	h, err := Inbound(passed, func(ctx context.Context, m providers.Inbound) error {
		if ctx == nil {
			t.Error("consumer got a nil context, want the context of the request")
		}
		taken = append(taken, m)
		return failure
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "/inbound?"+form.Encode(), nil)
	if method != http.MethodGet {
		r = httptest.NewRequestWithContext(t.Context(), method, "/inbound", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", httpclient.FormContentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if text := fmt.Sprint(w.Body, w.Header()); strings.Contains(text, "s3cr3t") || strings.Contains(text, "4477") || strings.Contains(text, "oops") {
		t.Errorf("the answer holds a secret, a number or the error of consumer, want none of these: %s", text)
	}
	return w, taken
}

func TestInbound_ByGetAndPost(t *testing.T) {
	t.Parallel()
	plain := providers.Inbound{
		ID: "9001", From: "447777777771", To: "447860000000", Text: "STOP & go\nçé😀", At: time.Date(2026, time.July, 1, 12, 30, 45, 0, time.UTC), Fields: map[string]string{},
	}
	for name, tc := range map[string]struct {
		differs url.Values
		want    func(*providers.Inbound)
	}{
		"plain": {nil, func(*providers.Inbound) {}},
		"with supplements": {
			url.Values{"MMName": {"Ann"}, "MMEmail": {"a@example.com"}, "MM1": {"1"}, "MM2": {"2"}, "MM3": {"3"}, "MM4": {""}, "MM5": {"5"}, "MM6": {"6"}},
			func(m *providers.Inbound) {
				m.Fields = map[string]string{"MMName": "Ann", "MMEmail": "a@example.com", "MM1": "1", "MM2": "2", "MM3": "3", "MM4": "", "MM5": "5"}
			},
		},
		"in winter": {url.Values{"receivedts": {"2026-12-01 12:30:45"}}, func(m *providers.Inbound) { m.At = time.Date(2026, time.December, 1, 12, 30, 45, 0, time.UTC) }},
		"no text":   {url.Values{"msg": nil}, func(m *providers.Inbound) { m.Text = "" }},
		"no time":   {url.Values{"receivedts": nil}, func(m *providers.Inbound) { m.At = time.Time{} }},
		"an odd time": {url.Values{"receivedts": {"01/07/2026"}}, func(m *providers.Inbound) {
			m.At, m.UnreadTime, m.Fields = time.Time{}, "01/07/2026", map[string]string{"receivedts": "01/07/2026"}
		}},
		"not in UTF-8":    {url.Values{"msg": {"caf\xe9"}}, func(m *providers.Inbound) { m.Text = "caf\ufffd" }},
		"from a name":     {url.Values{"source": {"ACME"}}, func(m *providers.Inbound) { m.From = "ACME" }},
		"no number of us": {url.Values{"dest": nil}, func(m *providers.Inbound) { m.To = "" }},
		"fields twice":    {url.Values{"msg": {"first", "second"}}, func(m *providers.Inbound) { m.Text = "first" }},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			want := plain
			want.Fields = map[string]string{}
			tc.want(&want)
			w, taken := call(t, method, forwarded(tc.differs), nil)
			if w.Code != http.StatusNoContent {
				t.Errorf("%s by %s: got status %d, want 204", name, method, w.Code)
			}
			if diff := cmp.Diff([]providers.Inbound{want}, taken, cmp.Transformer("utc", time.Time.UTC)); diff != "" {
				t.Errorf("%s by %s (-want +got):\n%s", name, method, diff)
			}
		}
	}
}

func TestInbound_InvalidRequestsAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method string
		form   url.Values
		want   int
	}{
		"wrong auth":         {http.MethodPost, forwarded(url.Values{"auth": {"S3cr3t auth"}}), 403},
		"no auth":            {http.MethodPost, forwarded(url.Values{"auth": nil}), 403},
		"empty auth":         {http.MethodGet, forwarded(url.Values{"auth": {""}}), 403},
		"wrong, then right":  {http.MethodGet, forwarded(url.Values{"auth": {"x", passed}}), 403},
		"nothing":            {http.MethodGet, nil, 403},
		"no id":              {http.MethodPost, forwarded(url.Values{"id": nil}), 400},
		"no source":          {http.MethodGet, forwarded(url.Values{"source": {""}}), 400},
		"no id and no right": {http.MethodPost, forwarded(url.Values{"id": nil, "auth": nil}), 403},
		"PUT":                {http.MethodPut, forwarded(nil), 405},
		"HEAD":               {http.MethodHead, nil, 405},
		"too much":           {http.MethodPost, forwarded(url.Values{"msg": {strings.Repeat("x", 1<<17)}}), 400},
	} {
		if w, taken := call(t, tc.method, tc.form, nil); w.Code != tc.want || taken != nil {
			t.Errorf("%s: got status %d, want %d; taken %v", name, w.Code, tc.want, taken)
		}
	}
}

func TestInbound_ErrorAsksForARepeat(t *testing.T) {
	t.Parallel()
	if w, taken := call(t, http.MethodPost, forwarded(nil), errors.New("oops: 447777777771")); w.Code != http.StatusInternalServerError || len(taken) != 1 {
		t.Errorf("an error of consumer: got status %d and taken %v, want 500 and one message", w.Code, taken)
	}
}

func TestInbound_NeedsASecret(t *testing.T) {
	t.Parallel()
	if h, err := Inbound("", func(context.Context, providers.Inbound) error { return nil }); h != nil || err == nil {
		t.Errorf("an empty secret: got the handler %v and the error %v, want only an error", h, err)
	}
}

func FuzzParseInbound(f *testing.F) {
	for _, seed := range []string{
		forwarded(nil).Encode(), "id=1&source=2", "id=1&source=2&receivedts=2026-07-01+13:30:45&MM1=x&MMName", "source=%ff&id=%ff&msg=%ff", "id=&source=1", "id=1&id=2&source=3",
	} {
		f.Add(seed)
	}
	london := zone(f)
	f.Fuzz(func(t *testing.T, query string) {
		// The test skips invalid UTF-8: httpclient.CallbackForm replaces invalid UTF-8 before a parser gets the
		// form.
		form, err := url.ParseQuery(query)
		if plain, _ := url.QueryUnescape(query); err != nil || !utf8.ValidString(plain) {
			return
		}
		m, ok := parseInbound(form, london)
		if ok != (form.Get("id") != "" && form.Get("source") != "") {
			t.Fatalf("%q: got ok %v, want true exactly for a form with id and source", query, ok)
		}
		if !ok {
			return
		}
		for name, value := range m.Fields {
			if !slices.Contains(append(supplements, "receivedts"), name) || !form.Has(name) || strings.ToValidUTF8(value, "?") != value {
				t.Fatalf("%q: got the field %s=%q, want only fields of the form, in valid UTF-8", query, name, value)
			}
		}
		if !m.At.IsZero() && m.At.In(london).Format(time.DateTime)[:10] != form.Get("receivedts")[:10] {
			t.Fatalf("%q: got the time %v, want the day in receivedts", query, m.At)
		}
	})
}

func ExampleInbound() {
	handler, err := Inbound("shared with the gateway", func(_ context.Context, m providers.Inbound) error {
		fmt.Println(m.ID, m.Text, m.At.Format(time.RFC3339))
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	form := url.Values{
		"source": {"447777777771"}, "dest": {"447860000000"}, "msg": {"STOP"}, "id": {"9001"},
		"receivedts": {"2026-07-01 13:30:45"}, "auth": {"shared with the gateway"},
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/inbound?"+form.Encode(), nil))
	fmt.Println(w.Code)
	// Output:
	// 9001 STOP 2026-07-01T13:30:45+01:00
	// 204
}
