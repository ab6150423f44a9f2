package textconnect

import (
	"encoding/csv"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

const header = `"MessageID","Username","Destination","Source","Status","Schedule Date","Sent Date","Delivery Date"`

func zone(t testing.TB) *time.Location {
	t.Helper()
	z, err := london(time.LoadLocation)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestReport_EveryKindIsReadByItsHeader(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, time.July, 1, 0, 0, 0, 0, time.UTC)
	for kind, asked := range map[string]string{
		"Messages": "Messages", "Outbox": "Outbox", "Usage": "Usage", "InboundMessages": "InboundMessages", "FailedMessages": "FailedMessages",
		"messages": "Messages", "INBOUNDMESSAGES": "InboundMessages",
	} {
		p, s := answering(t, 200, "\"A\",\"B b\"\r\n\"1\",\"two, and \"\"three\"\"\r\nlines\"\r\n")
		got, err := p.Report(t.Context(), kind, from, from.AddDate(0, 6, 0))
		want := providers.Table{Columns: []string{"A", "B b"}, Rows: [][]string{{"1", "two, and \"three\"\nlines"}}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: got the error %v (-want +got):\n%s", kind, err, diff)
		}
		s.asks(t, kind, url.Values{"Action": {"Report"}, "ReportType": {asked}, "From": {"20260701010000"}, "To": {"20270101000000"}})
	}
	p, s := answering(t, 200, header)
	if got, err := p.Report(t.Context(), "Outbox", time.Time{}, time.Time{}); err != nil || len(got.Columns) != 8 || len(got.Rows) != 0 {
		t.Errorf("Outbox: got %+v and the error %v, want 8 columns without rows", got, err)
	}
	s.asks(t, "no bounds", url.Values{"Action": {"Report"}, "ReportType": {"Outbox"}, "From": {"20000101000000"}, "To": {"20991231000000"}})
	_, err := p.Report(t.Context(), "Everything", time.Time{}, time.Time{})
	if diff := cmp.Diff(refusedLocally("textconnect report", providers.Call), verdict(t, err)); diff != "" || len(s.asked) != 0 {
		t.Errorf("%d requests (-want +got):\n%s", len(s.asked), diff)
	}
	if kinds := p.ReportKinds(); kinds[0] != "Messages" || len(kinds) != 5 {
		t.Errorf("got the report kinds %v, want 5 with Messages first", kinds)
	}
}

func TestReport_InvalidReplyIsAnError(t *testing.T) {
	t.Parallel()
	const not = "unknown call not_understood http 200"
	for body, want := range map[string]string{
		"-601\nUnknown Report Type": "rejected call refused -601", "-504": "rejected call refused -504", "-512": "retryable account credentials -512",
		"-301": "unknown call gateway -301", "": not, "\r\n": not, "OK": not, "<html>,<body>": not, `{"a":1,"b":2}`: not, "A,B\n1": not, "A,B\n1,2,3": not,
		"A,A\n1,2": not, "A,\n1,2": not, "A,\"B\n1,2": not, "A,B\n1,2\"": not, "1,2\n3,4": not, "3509592,3509593": not,
		"A," + strings.Repeat("B", 65): not, "A,B\x00": not, strings.Repeat("A,", 2<<20): not,
	} {
		p, _ := answering(t, 200, body)
		_, err := p.Report(t.Context(), "Usage", time.Time{}, time.Time{})
		if e := verdict(t, err); e.Op != "textconnect report" || summary(e) != want {
			t.Errorf("%.40q: got %s, want %s", body, summary(e), want)
		}
	}
}

func TestMessages_ReadsTheReport(t *testing.T) {
	t.Parallel()
	at := func(hour, minute int) time.Time { return time.Date(2026, time.July, 1, hour, minute, 30, 0, time.UTC) }
	p, s := answering(t, 200, header+"\n"+
		`"3509592","demo","447777777771","ACME","Delivered","","01/07/2026 13:30:30","01/07/2026 13:31:30"`+"\n"+
		`"3509593","demo","+447777777772","447700900000","Pending","02/07/2026 13:30:30","",""`+"\n"+
		`"3509594","demo","Group, old","ACME","Something new","","01/12/2026 12:30:30",""`+"\n")
	got, err := p.Messages(t.Context(), at(12, 0), at(13, 0))
	want := []Message{
		{ID: "3509592", Username: "demo", To: one, From: "ACME", Status: providers.MessageStatus{State: "Delivered", Final: true, Delivered: true}, Sent: at(12, 30), Delivered: at(12, 31)},
		{ID: "3509593", Username: "demo", To: two, From: "447700900000", Status: providers.MessageStatus{State: "Pending"}, Scheduled: at(36, 30)},
		{ID: "3509594", Username: "demo", From: "ACME", Status: providers.MessageStatus{State: "Something new"}, Sent: time.Date(2026, time.December, 1, 12, 30, 30, 0, time.UTC)},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	s.asks(t, "messages", url.Values{"Action": {"Report"}, "ReportType": {"Messages"}, "From": {"20260701130030"}, "To": {"20260701140030"}})
}

func TestMessages_ColumnsAreFoundByName(t *testing.T) {
	t.Parallel()
	columns := []string{"MessageID", "Username", "Destination", "Source", "Status", "Schedule Date", "Sent Date", "Delivery Date"}
	row := []string{"3509592", "demo", one.String(), "ACME", "Sent", "", "01/07/2026 13:30:30", ""}
	read := func(columns, row []string) ([]Message, bool) {
		return parseMessages(providers.Table{Columns: columns, Rows: [][]string{row}}, zone(t))
	}
	want, ok := read(columns, row)
	if !ok {
		t.Fatal("got no message from a valid row, want one")
	}
	backwards, backwardsRow := slices.Clone(columns), slices.Clone(row)
	slices.Reverse(backwards)
	slices.Reverse(backwardsRow)
	got, ok := read(append(backwards, "Cost"), append(backwardsRow, "1"))
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("in another order (-want +got):\n%s", diff)
	}
	lower := slices.Clone(columns)
	for i := range lower {
		lower[i] = strings.ToLower(lower[i])
	}
	if got, ok := read(lower, row); !ok || !cmp.Equal(want, got) {
		t.Errorf("columns in lower case: got %v %v, want the same message and true", got, ok)
	}
	for i := range columns {
		if _, ok := read(slices.Delete(slices.Clone(columns), i, i+1), slices.Delete(slices.Clone(row), i, i+1)); ok {
			t.Errorf("a table without the column %s: got messages, want not understood", columns[i])
		}
	}
	for i, bad := range map[int]string{0: " ", 5: "2026-07-01 13:30:30", 6: "07/13/2026 13:30:30", 7: "never"} {
		wrong := slices.Clone(row)
		wrong[i] = bad
		if _, ok := read(columns, wrong); ok {
			t.Errorf("the column %s with the value %q: got messages, want not understood", columns[i], bad)
		}
	}
	p, _ := answering(t, 200, "\"A\",\"B\"\n\"1\",\"2\"")
	_, err := p.Messages(t.Context(), time.Time{}, time.Time{})
	if e := verdict(t, err); summary(e) != "unknown call not_understood http 200" {
		t.Errorf("an unknown report: got %s, want unknown call not_understood http 200", summary(e))
	}
	p, _ = answering(t, 200, "-504")
	_, err = p.Messages(t.Context(), time.Time{}, time.Time{})
	if e := verdict(t, err); summary(e) != "rejected call refused -504" {
		t.Errorf("a refused report: got %s, want rejected call refused -504", summary(e))
	}
}

func FuzzParseReport(f *testing.F) {
	for _, seed := range []string{
		header, header + "\n" + `"3509592","demo","447777777771","ACME","Sent","","01/07/2026 13:30:30",""`, "A,B\n1,2\n", "-601", "\ufeffA,B\n\"1\n\",2", "A,A\n",
		header + "\n" + `"1","d","x","A","S","31/02/2026 00:00:00","",""`,
	} {
		f.Add([]byte(seed))
	}
	london := zone(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		table, ok := parseTable(body)
		if !slices.Equal(before, body) {
			t.Fatal("the parser changed the body, want it unchanged")
		}
		if !ok {
			return
		}
		var again strings.Builder
		w := csv.NewWriter(&again)
		for _, row := range append([][]string{table.Columns}, table.Rows...) {
			if len(row) != len(table.Columns) || len(row) < 2 {
				t.Fatalf("%q: got a row of %d fields and %d columns, want the same number, at least 2", body, len(row), len(table.Columns))
			}
			_ = w.Write(row)
		}
		w.Flush()
		messages, ok := parseMessages(table, london)
		if ok && len(messages) != len(table.Rows) {
			t.Fatalf("%q: got %d messages of %d rows, want one for each row", body, len(messages), len(table.Rows))
		}
		for _, m := range messages {
			if m.ID == "" || m.Status.Delivered && !strings.EqualFold(m.Status.State, "delivered") || m.To != 0 && !strings.Contains(string(body), m.To.String()) {
				t.Fatalf("%q: got the message %+v, want an ID, and delivered only for that state", body, m)
			}
		}
	})
}

func TestMessageStatuses_ReadsTheReport(t *testing.T) {
	t.Parallel()
	at := func(hour, minute int) time.Time { return time.Date(2026, time.July, 1, hour, minute, 30, 0, time.UTC) }
	p, s := answering(t, 200, header+"\n"+
		`"3509592","demo","447777777771","ACME","Delivered","","01/07/2026 13:30:30","01/07/2026 13:31:30"`+"\n"+
		`"3509592","demo","447777777771","ACME","Sent","","01/07/2026 13:30:30",""`+"\n"+
		`"3509594","demo","Group, old","ACME","Something new","","01/12/2026 12:30:30",""`+"\n")
	got, err := p.MessageStatuses(t.Context(), at(12, 0), at(13, 0))
	want := []providers.ListedStatus{
		{ID: "3509592", To: 447777777771, Status: providers.MessageStatus{Final: true, Delivered: true, State: "Delivered"}, At: at(12, 31)},
		{ID: "3509592", To: 447777777771, Status: providers.MessageStatus{State: "Sent"}},
		{ID: "3509594", Status: providers.MessageStatus{State: "Something new"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	s.asks(t, "statuses", url.Values{"Action": {"Report"}, "ReportType": {"Messages"}, "From": {"20260701130030"}, "To": {"20260701140030"}})
}

// At the end of summer time, the hour from 01:00 to 02:00 London time occurs twice. The request covers both
// hours.
func TestMessageStatuses_AskForBothHoursThatLookAlike(t *testing.T) {
	t.Parallel()
	at := func(hour, minute int) time.Time {
		return time.Date(2026, time.October, 25, hour, minute, 0, 0, time.UTC)
	}
	for name, tt := range map[string]struct {
		from, to         time.Time
		wantFrom, wantTo string
	}{
		"the first hour":       {at(0, 30), at(0, 34), "20261025003000", "20261025013400"},
		"the second hour":      {at(1, 30), at(1, 34), "20261025013000", "20261025023400"},
		"between both":         {at(0, 58), at(1, 3), "20261025005800", "20261025020300"},
		"two hours before":     {at(-2, 0), at(-2, 5), "20261024230000", "20261024230500"},
		"after both":           {at(2, 1), at(2, 5), "20261025020100", "20261025020500"},
		"the spring has none":  {time.Date(2026, time.March, 29, 0, 58, 0, 0, time.UTC), time.Date(2026, time.March, 29, 1, 2, 0, 0, time.UTC), "20260329005800", "20260329020200"},
		"an ordinary July day": {time.Date(2026, time.July, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, time.July, 1, 0, 5, 0, 0, time.UTC), "20260701010000", "20260701010500"},
	} {
		p, s := answering(t, 200, header)
		if got, err := p.MessageStatuses(t.Context(), tt.from, tt.to); err != nil || len(got) != 0 {
			t.Errorf("%s: got %v and the error %v", name, got, err)
		}
		s.asks(t, name, url.Values{"Action": {"Report"}, "ReportType": {"Messages"}, "From": {tt.wantFrom}, "To": {tt.wantTo}})
	}
}
