package api

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/keys"
)

// A stream of events continues after the last event that its reader has received.
func TestEvents_StreamAndContinue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeAdmin)
	optOut := func(number string) {
		t.Helper()
		r.want("opt out", r.do(key, "POST", "/v1/optouts", `{"numbers":["`+number+`"],"country":"KE"}`), http.StatusOK)
	}
	// The function "read" returns the id and the data of the first event after a cursor.
	read := func(after string) (id, data string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/v1/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		if after != "" {
			req.Header.Set("Last-Event-ID", after)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
			t.Fatalf("status %d, content type %q", res.StatusCode, got)
		}
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = text
			}
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return id, text
			}
		}
		t.Fatalf("the stream has ended: %v", lines.Err())
		return "", ""
	}
	optOut("0712345678")
	first, data := read("")
	if first == "" || !strings.Contains(data, `"optout.added"`) || !strings.Contains(data, "254712345678") {
		t.Errorf("the first event has the id %q and %s", first, data)
	}
	optOut("0712345679")
	second, data := read(first)
	if second == first || !strings.Contains(data, "254712345679") {
		t.Errorf("the event behind %s has the id %q and %s", first, second, data)
	}
	r.want("a bad cursor", r.do(key, "GET", "/v1/events?after=x", ""), http.StatusUnprocessableEntity)
}
