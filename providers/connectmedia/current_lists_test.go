package connectmedia

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/connectmedia/connectmediasim"
	"github.com/tuma-sms/tuma/sms"
)

func TestCurrentAPI_Balance(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]providers.Balance{
		`{"code":"200","message":"ok","data":{"balance":"1,250.50"}}`:             {Amount: 1250.5},
		`{"code":"200","message":"ok","data":{"balance":12,"currency":"KES"}}`:    {Amount: 12, Currency: "KES"},
		`{"code":200,"message":"ok","data":{"credits":7,"updated":"2026-11-01"}}`: {Amount: 7},
		`{"code":"200","message":"ok","data":{"wallet":"KES 3.20"}}`:              {Amount: 3.2, Currency: "KES"},
		`{"code":"200","message":"ok","data":41}`:                                 {Amount: 41},
		`{"code":"200","message":"1"}`:                                            {Amount: 1},
	} {
		p, _ := keyed(t, 200, body)
		if got, err := p.Balance(t.Context()); err != nil || got != want {
			t.Errorf("%s: got %+v and the error %v, want %+v", body, got, err, want)
		}
	}
	for body, code := range map[string]string{
		`{"code":"200","message":"ok","data":{}}`: "", `{"code":"200","message":"ok"}`: "", `{"code":"200","message":"1","data":[]}`: "",
		`{"code":"200","data":{"balance":"1","credits":"2"}}`: "", `{"code":"200","data":{"a":1,"b":2}}`: "", `{"code":"201","data":{"balance":1}}`: "201",
		`{"code":"100","message":"Invalid or missing API key"}`: "100", `<html>`: "",
	} {
		p, _ := keyed(t, 200, body)
		if got, err := p.Balance(t.Context()); err == nil || strings.TrimPrefix(verdict(t, err).Code, "http 200") != code || got != (providers.Balance{}) {
			t.Errorf("%s: got %+v and the error %v, want an error with code %q", body, got, err, code)
		}
	}
}

func TestCurrentAPI_ListsOfSeveralShapes(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`[]`: "0", `{}`: "0", `null`: "0", `{"messages":[],"total":0}`: "0",
		`[{"message_id":"1"},{"message_id":"2"}]`:              "1 2",
		`{"messages":[{"message_id":7}],"total":1,"limit":50}`: "7",
		`{"1":{"message_id":"b"},"0":{"message_id":"a"}}`:      "a b",
		`{"total":5}`: "", `"x"`: "", `[1]`: "", `{"a":[{}],"b":[{}]}`: "", `{"x":{"message_id":"1"}}`: "", `{"messages":[{"a":1},2]}`: "", `true`: "",
	} {
		o := map[string]json.RawMessage{"code": json.RawMessage(`"202"`), "data": json.RawMessage(data)}
		rows, ok := currentRows(o)
		ids := []string{}
		for _, row := range rows {
			ids = append(ids, shown(row, "message_id"))
		}
		got := strings.Join(ids, " ")
		if ok && len(rows) == 0 {
			got = "0"
		}
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %q and ok %v, want %q", data, got, ok, want)
		}
	}
	if rows, ok := currentRows(map[string]json.RawMessage{"code": json.RawMessage(`"202"`), "rows": json.RawMessage(`[]`)}); ok {
		t.Errorf("a list outside data: got %v, want not understood", rows)
	}
}

func TestCurrentAPI_HistoryIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Options{Users: map[string]string{"demo": key.Reveal()}}, map[string]simulator.NewVendor{Name: connectmediasim.New})
	web := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); web.Close() })
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: web.URL + "/" + Name}, APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	to := make([]sms.MSISDN, CurrentUsualRecipients)
	for i := range to {
		to[i] = 254712345600 + sms.MSISDN(i)
	}
	if _, err := p.Send(t.Context(), batch(to...)); err != nil {
		t.Fatal(err)
	}
	day := time.Date(2016, 6, 11, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		start, end time.Time
		want       int
	}{"all": {want: len(to)}, "its day": {start: day, end: day, want: len(to)}, "later": {start: day.AddDate(0, 0, 1)}, "earlier": {end: day.AddDate(0, 0, -1)}} {
		table, err := p.Report(t.Context(), "history", tc.start, tc.end)
		if err != nil || len(table.Rows) != tc.want || !slices.Equal(table.Columns, historyColumns) {
			t.Errorf("%s: got %d rows of %q and the error %v, want %d", name, len(table.Rows), table.Columns, err, tc.want)
		}
	}
	// One gateway has pages of two messages. The other gateway ignores the offset, and always
	// returns its first page.
	for name, ignores := range map[string]bool{"small pages": false, "no offset": true} {
		pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var q struct{ Offset int }
			_ = json.NewDecoder(r.Body).Decode(&q)
			if ignores {
				q.Offset = 0
			}
			rows := []string{}
			for i := q.Offset; i < min(5, q.Offset+2); i++ {
				rows = append(rows, fmt.Sprintf(`{"message_id":%d,"number":"2547%08d"}`, i, i))
			}
			_, _ = fmt.Fprintf(w, `{"code":"202","message":"ok","data":[%s]}`, strings.Join(rows, ","))
		}))
		t.Cleanup(pages.Close)
		p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: pages.URL}, APIKey: key})
		if err != nil {
			t.Fatal(err)
		}
		want := 5
		if ignores {
			want = 2
		}
		table, err := p.Report(t.Context(), "history", time.Time{}, time.Time{})
		if err != nil || len(table.Rows) != want || !slices.Equal(table.Columns, []string{"message_id", "number"}) {
			t.Errorf("%s: got %v and the error %v, want %d rows", name, table, err, want)
		}
	}
}

func TestCurrentAPI_InboxKeepsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	p, _ := keyed(t, 200, `{"code":"302","data":[{"from":254712345678,"message":"STOP","received_at":"2026-06-11 06:00:27","to":"20414","network":"x"},{"message_from":"2547","message_text":"","date":"11/06/2016"}]}`)
	got, err := p.Inbox(t.Context(), "")
	want := []providers.Inbound{
		{From: "254712345678", To: "20414", Text: "STOP", At: time.Date(2026, 6, 11, 3, 0, 27, 0, time.UTC), Fields: map[string]string{"network": "x"}},
		{From: "2547", UnreadTime: "11/06/2016"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	for _, body := range []string{`{"code":"302","data":[{"id":1}]}`, `{"code":"302","data":{"total":3}}`, `{"code":"301","message":"Error in fetching data"}`} {
		p, _ := keyed(t, 200, body)
		if got, err := p.Inbox(t.Context(), ""); err == nil || got != nil {
			t.Errorf("%s: got %v and the error %v, want an error", body, got, err)
		}
	}
}
