package textconnect

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

func TestSendStored_ToAListOrAGroup(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		batch   providers.StoredBatch
		options SendOptions
		answer  string
		ids     []string
		differs url.Values
	}{
		"list":           {batch: providers.StoredBatch{List: "Members & friends"}, answer: "17", ids: []string{"17"}, differs: url.Values{"DestinationAddress": {"List"}, "ListName": {"Members & friends"}}},
		"group":          {batch: providers.StoredBatch{Group: "Staff"}, answer: "17, 18\n", ids: []string{"17", "18"}, differs: url.Values{"DestinationAddress": {"Group"}, "GroupName": {"Staff"}}},
		"taken, no id":   {batch: providers.StoredBatch{Group: "Staff"}, answer: "1\r\n", ids: []string{}, differs: url.Values{"DestinationAddress": {"Group"}, "GroupName": {"Staff"}}},
		"several, one 1": {batch: providers.StoredBatch{Group: "Staff"}, answer: "1,2", ids: []string{"1", "2"}, differs: url.Values{"DestinationAddress": {"Group"}, "GroupName": {"Staff"}}},
		"the longest": {
			batch: providers.StoredBatch{List: "L", From: "ACME & Söns", Body: strings.Repeat("é", MaxChars)}, answer: "17", ids: []string{"17"},
			differs: url.Values{"DestinationAddress": {"List"}, "ListName": {"L"}, "SourceAddress": {"ACME & Söns"}, "Body": {strings.Repeat("é", 459)}},
		},
		"a numeric sender": {
			batch: providers.StoredBatch{List: "L", From: "+447777777777", Body: "Hello"}, answer: "17", ids: []string{"17"},
			differs: url.Values{"DestinationAddress": {"List"}, "ListName": {"L"}, "SourceAddress": {"+447777777777"}, "SourceTON": {"1"}},
		},
		"with its options": {
			batch: providers.StoredBatch{List: "L"}, answer: "17", ids: []string{"17"},
			options: SendOptions{ScheduleDate: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), SourceTON: 1, ValidityPeriod: time.Hour, AllMessageIDs: true},
			differs: url.Values{"DestinationAddress": {"List"}, "ListName": {"L"}, "SourceTON": {"1"}, "ValidityPeriod": {"3600"}, "ScheduleDate": {"20260701130000"}},
		},
	} {
		p, s := answering(t, 200, tc.answer)
		if tc.batch.From == "" {
			tc.batch.From, tc.batch.Body = "ACME", "Hello"
		}
		ids, err := p.SendStoredWith(t.Context(), tc.batch, tc.options)
		if err != nil || !cmp.Equal(tc.ids, ids) {
			t.Errorf("%s: got the IDs %q and the error %v, want the IDs of the case", name, ids, err)
		}
		want := url.Values{"Action": {"Send"}, "SourceAddress": {"ACME"}, "Body": {"Hello"}, "ValidityPeriod": {"86400"}, "SourceTON": {"5"}, "GetBGSendID": {"1"}}
		for field, value := range tc.differs {
			want[field] = value
		}
		s.asks(t, name, want)
	}
}

func TestSendStored_InvalidBatchMakesNoRequest(t *testing.T) {
	t.Parallel()
	p, s := answering(t, 200, "17")
	for _, b := range []providers.StoredBatch{
		{From: "ACME", Body: "Hello"}, {List: "L", Group: "G", From: "ACME", Body: "Hello"}, {List: "L", Body: "Hello"}, {Group: "G", From: "ACME"},
		{List: "L", From: "ACME", Body: strings.Repeat("é", MaxChars+1)},
		{List: "L", From: "ACME", Body: strings.Repeat("ẹ", MaxSegments*67+1)}, {Group: "G", From: "ACME & Sons.", Body: "Hello"},
	} {
		_, err := p.SendStored(t.Context(), b)
		if diff := cmp.Diff(refusedLocally("textconnect send to a list", providers.Call), verdict(t, err)); diff != "" {
			t.Errorf("the batch %+v (-want +got):\n%s", b, diff)
		}
	}
	if len(s.asked) != 0 {
		t.Errorf("got %d requests, want 0", len(s.asked))
	}
}

func TestSendStored_InvalidReplyIsAnError(t *testing.T) {
	t.Parallel()
	const not = "unknown call not_understood http 200"
	for body, want := range map[string]string{
		"-516": "rejected campaign refused -516", "-520\nUnknown Group": "rejected campaign refused -520", "-100": "retryable account credit -100",
		"-401": "rejected call refused -401", "-400": "unknown call gateway -400", "-503": "unknown call not_understood -503", "-999": "unknown call not_understood -999",
		"": not, "0": not, "17,": not, "17,-100": not, "17,17": not, "017": not, "sent": not, "<html>": not, strings.Repeat("9", 19): not,
		"2" + strings.Repeat(",3", 2<<19): not,
	} {
		p, _ := answering(t, 200, body)
		ids, err := p.SendStored(t.Context(), providers.StoredBatch{List: "L", From: "ACME", Body: "Hello"})
		if e := verdict(t, err); e.Op != "textconnect send to a list" || summary(e) != want || ids != nil {
			t.Errorf("%.40q: got %q %s, want %s", body, ids, summary(e), want)
		}
	}
}

func TestBackgroundMessages_ReadsTheList(t *testing.T) {
	t.Parallel()
	want := []providers.BackgroundMessage{
		{MessageID: "3509592", To: 447777777777, Status: providers.MessageStatus{State: "Sent"}},
		{MessageID: "3509593", To: 447777777778, Status: providers.MessageStatus{State: "Delivered", Final: true, Delivered: true}},
	}
	for _, body := range []string{
		`[{"MessageID":"3509592","Destination":"447777777777","Status":"Sent"},{"MessageID":"3509593","Destination":"447777777778","Status":"Delivered"}]`,
		` [ {"MessageID":3509592,"Destination":447777777777,"Status":"Sent"}, {"Status":"Delivered","Cost":1,"Destination":"447777777778","MessageID":"3509593"} ] ` + "\n",
	} {
		p, s := answering(t, 200, body)
		got, err := p.BackgroundMessages(t.Context(), "17")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("got the error %v (-want +got):\n%s", err, diff)
		}
		s.asks(t, "background", url.Values{"Action": {"GetBGMessages"}, "BGSendID": {"17"}})
	}
	p, _ := answering(t, 200, "[]")
	if got, err := p.BackgroundMessages(t.Context(), "17"); err != nil || got == nil || len(got) != 0 {
		t.Errorf("an empty list: got %v and the error %v, want an empty list that is not nil", got, err)
	}
	p, s := answering(t, 200, "[]")
	_, err := p.BackgroundMessages(t.Context(), "")
	if diff := cmp.Diff(refusedLocally("textconnect background messages", providers.Call), verdict(t, err)); diff != "" || len(s.asked) != 0 {
		t.Errorf("%d requests (-want +got):\n%s", len(s.asked), diff)
	}
}

func TestBackgroundMessages_UnfinishedIsErrNotFinished(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"error":"-522","message":"Background Send Not Finished"}`, `{"error":-522}`, `[{"error":"-522","message":""}]`, "-522\nBackground Send Not Finished"} {
		p, _ := answering(t, 200, body)
		if got, err := p.BackgroundMessages(t.Context(), "17"); !errors.Is(err, providers.ErrNotFinished) || got != nil {
			t.Errorf("%s: got %v and the error %v, want ErrNotFinished", body, got, err)
		}
	}
}

func TestBackgroundMessages_InvalidReplyIsAnError(t *testing.T) {
	t.Parallel()
	const not = "unknown call not_understood http 200"
	row := func(id, to, status string) string {
		return fmt.Sprintf(`{"MessageID":%s,"Destination":%s,"Status":%s}`, id, to, status)
	}
	good := row(`"3509592"`, `"447777777771"`, `"Sent"`)
	for body, want := range map[string]string{
		`{"error":"-521","message":"Unknown Background SendID"}`: "rejected call refused -521", `[{"error":"-521"}]`: "rejected call refused -521",
		`{"error":-523}`: "rejected call refused -523", "-501": "retryable account credentials -501", `{"error":"-511"}`: "retryable account gateway -511",
		`{"error":"-300"}`: "unknown call gateway -300", `{"error":"-999"}`: "unknown call not_understood -999",
		"": not, "1": not, "null": not, "{}": not, "[null]": not, "[{}]": not, "[[]]": not, `["3509592"]`: not, "<html>": not, `{"error":"none"}`: not, `{"error":{}}`: not,
		`{"error":["-521"]}`: not, `[{"error":"-521"},{"error":"-521"}]`: not, "[" + good: not, "[" + good + "]]": not, "[" + good + ",]": not, good: not,
		"[" + good + `,{"error":"-522"}]`:                          not,
		"[" + row(`""`, `"447777777771"`, `"Sent"`) + "]":          not,
		"[" + row(`"x"`, `"447777777771"`, `"Sent"`) + "]":         not,
		"[" + row(`1.5e6`, `"447777777771"`, `"Sent"`) + "]":       not,
		"[" + row(`true`, `"447777777771"`, `"Sent"`) + "]":        not,
		"[" + row(`"3509592"`, `"+447777777771"`, `"Sent"`) + "]":  not,
		"[" + row(`"3509592"`, `"07777777771"`, `"Sent"`) + "]":    not,
		"[" + row(`"3509592"`, `null`, `"Sent"`) + "]":             not,
		"[" + row(`"3509592"`, `"447777777771"`, `null`) + "]":     not,
		"[" + row(`"3509592"`, `"447777777771"`, `7`) + "]":        not,
		"[" + row(`"3509592"`, `9999999999999999`, `"Sent"`) + "]": not,
		strings.Repeat("[", 1<<20):                                 not,
	} {
		p, _ := answering(t, 200, body)
		got, err := p.BackgroundMessages(t.Context(), "17")
		if e := verdict(t, err); e.Op != "textconnect background messages" || summary(e) != want || got != nil {
			t.Errorf("%.60q: got %v %s, want %s", body, got, summary(e), want)
		}
	}
}

func FuzzParseBackground(f *testing.F) {
	for _, seed := range []string{
		`[{"MessageID":"3509592","Destination":"447777777777","Status":"Sent"}]`, `{"error":"-521","message":"Unknown Background SendID"}`, `[{"error":-522}]`, "[]", "-501", "null",
		`[{"MessageID":3509592,"Destination":447777777777,"Status":"x"},{}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		messages, code, ok := parseBackground(body)
		if !slices.Equal(before, body) {
			t.Fatal("the parser changed the body, want it unchanged")
		}
		if ok && code != 0 || !ok && messages != nil || code > 0 {
			t.Fatalf("%q: got the messages %v, the code %d and ok %v, want either messages or a code that is not positive", body, messages, code, ok)
		}
		if !ok {
			if code != 0 && !strings.Contains(string(body), fmt.Sprint(code)) && !strings.Contains(string(body), `\u`) {
				t.Fatalf("%q: got the code %d, which is not in the body", body, code)
			}
			return
		}
		var rows []map[string]any
		if err := json.Unmarshal(body, &rows); err != nil || len(rows) != len(messages) {
			t.Fatalf("%q: got %d messages, want one for each element of the body: %v", body, len(messages), err)
		}
		for _, m := range messages {
			if m.MessageID == "" || m.To == 0 || m.Status.Delivered && !strings.EqualFold(m.Status.State, "delivered") {
				t.Fatalf("%q: got the message %+v, want an ID and a number, and delivered only for that state", body, m)
			}
		}
	})
}

func FuzzParseSendIDs(f *testing.F) {
	for _, seed := range []string{"1", "17,18", "-516\nUnknown List", "17,-100", "", "1,1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ids, e := parseSendIDs(body)
		if e != nil && (ids != nil || e.Outcome == providers.Accepted || !strings.HasPrefix(e.Code, "-")) {
			t.Fatalf("%q: got the IDs %q and the error %v, want only one of them", body, ids, e)
		}
		for _, id := range ids {
			if strings.Trim(id, "0123456789") != "" || !strings.Contains(string(body), id) {
				t.Fatalf("%q: got the IDs %q, want digits from the body", body, ids)
			}
		}
		if ids != nil && len(ids) == 0 && firstLine(body) != "1" {
			t.Fatalf("%q: got an empty list, want that only for \"1\"", body)
		}
	})
}

func TestAction_UnfinishedSendIsAnError(t *testing.T) {
	t.Parallel()
	p, _ := answering(t, 200, `{"error":"-522"}`)
	_, err := act(t, p, "GetBGMessages", map[string]string{"BGSendID": "17"})
	if !errors.Is(err, providers.ErrNotFinished) {
		t.Errorf("got the error %v, want ErrNotFinished", err)
	}
	if e := verdict(t, err); e.Outcome != providers.Retryable || e.Scope != providers.Call || e.Code != "-522" {
		t.Errorf("got %+v, want retryable, call, -522", e)
	}
}
