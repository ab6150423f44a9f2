package connectmediasim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// postCurrent posts a request of the current API and returns the reply's code and data. If the
// parameter "key" is empty, it sends no Authorization header.
func postCurrent(t *testing.T, address, key, body string) (code, data string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/api.php", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	var reply struct {
		Code string          `json:"code"`
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(text, &reply) != nil || err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got status %d, reply %s and error %v, want 200 with an envelope", resp.StatusCode, text, err)
	}
	return reply.Code, string(reply.Data)
}

func TestCurrent_AnswersAsTheVendorsClientsExpect(t *testing.T) {
	t.Parallel()
	const send = `{"action":"send","to":"254712345678,254733000111","message":"Hi","sender":"Brand"}`
	for name, tc := range map[string]struct {
		key, body, code, data string
		accepted, credit      int64
	}{
		"two numbers":       {"pass", send, "201", `{"invalid":[],"recipients":2}`, 2, 9},
		"scheduled":         {"pass", `{"action":"send","to":"254712345678,254722000000","message":"Hi","schedule":1,"schedule_datetime":"2026-12-01 09:00:00"}`, "201", `{"invalid":[],"recipients":2}`, 2, 9},
		"one bad number":    {"pass", strings.Replace(send, "254733000111", "0733000111", 1), "201", `{"invalid":["0733000111"],"recipients":1}`, 1, 9},
		"no good number":    {"pass", `{"action":"send","to":"12","message":"Hi"}`, "104", `{"invalid":["12"],"recipients":0}`, 0, 9},
		"no message":        {"pass", `{"action":"send","to":"254712345678","message":""}`, "105", "", 0, 9},
		"a long sender":     {"pass", strings.Replace(send, "Brand", "TwelveLetter", 1), "102", "", 0, 9},
		"too little credit": {"pass", send, "101", "", 0, 1},
		"a bad schedule":    {"pass", `{"action":"send","to":"254712345678","message":"Hi","schedule":1}`, "103", "", 0, 9},
		"another key":       {"x", send, "100", "", 0, 9},
		"no key":            {"", send, "100", "", 0, 9},
		"another action":    {"pass", `{"action":"Send"}`, "103", "", 0, 9},
		"no JSON":           {"pass", `action=send`, "103", "", 0, 9},
		"balance":           {"pass", `{"action":"balance"}`, "200", `{"balance":"9"}`, 0, 9},
		"an empty history":  {"pass", `{"action":"history","limit":5,"offset":0,"start_date":"2026-09-01"}`, "202", `{"messages":[]}`, 0, 9},
	} {
		s, address := start(t, simulator.Options{Users: map[string]string{"demo": "pass"}})
		d := s.Gateway("connectmedia")
		d.SetCredit(float64(tc.credit))
		code, data := postCurrent(t, address, tc.key, tc.body)
		if code != tc.code || data != tc.data || d.Stats().Accepted != tc.accepted {
			t.Errorf("%s: got %s %s and %d accepted, want %s %s and %d", name, code, data, d.Stats().Accepted, tc.code, tc.data, tc.accepted)
		}
	}
}

func TestCurrent_HistoryHasPagesAndBounds(t *testing.T) {
	t.Parallel()
	_, address := start(t, simulator.Options{})
	for i := range 3 {
		postCurrent(t, address, "pass", fmt.Sprintf(`{"action":"send","to":"25471234567%d","message":"Hi %d"}`, i, i))
	}
	for bounds, want := range map[string]int{
		`"limit":2`: 2, `"limit":2,"offset":2`: 1, `"offset":3`: 0, `"start_date":"2016-06-11"`: 3, `"start_date":"2016-06-12"`: 0, `"end_date":"2016-06-10"`: 0,
	} {
		if _, data := postCurrent(t, address, "pass", `{"action":"history",`+bounds+`}`); strings.Count(data, "message_id") != want {
			t.Errorf("%s: got %s, want %d messages", bounds, data, want)
		}
	}
	if _, data := postCurrent(t, address, "pass", `{"action":"inbox","limit":1}`); strings.Count(data, "message_from") != 1 {
		t.Errorf("got the inbox %s, want one message", data)
	}
}

func TestCurrent_FaultsUseItsEnvelope(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	for fault, want := range map[string]string{"code_500": "500", "campaign": "103", "credit": "101"} {
		s.FailNext(1, fault)
		if code, _ := postCurrent(t, address, "pass", `{"action":"send","to":"254712345678","message":"Hi"}`); code != want {
			t.Errorf("%s: got code %s, want %s", fault, code, want)
		}
	}
}
