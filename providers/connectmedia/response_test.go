package connectmedia

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const one, two sms.MSISDN = 254712345678, 254787654321

// huge is the beginning of a reply with 10 MB of text beside the code.
var huge = `{"code":"201","x":"` + strings.Repeat("x", 10<<20)

func TestParseAnswer_AcceptedAndRejected(t *testing.T) {
	t.Parallel()
	accepted := providers.Result{Outcome: providers.Accepted}
	for body, want := range map[string]*providers.Result{
		`{"code":"201","message":" Message Sent Successfully!"}`: &accepted,
		`{"code":201,"message":"sent"}`:                          &accepted,
		" {\"message\":null, \"code\" : \"201\"}\r\n":            &accepted,
		`{"code":"201"}`: &accepted,
		`{"code":"201"," Message Sent Successfully!"}`: &accepted,
		`{"code":201,""}`:                              &accepted,
		" { \"code\" : \"201\" , \"x\" } \n":           &accepted,
		`{"code":"104","message":"Invalid recipient"}`: {Outcome: providers.Rejected, Reason: "invalid_number", Code: "104"},
		`{"code":"104","No such number"}`:              {Outcome: providers.Rejected, Reason: "invalid_number", Code: "104"},
	} {
		got, e := parseAnswer([]byte(body))
		if diff := cmp.Diff(want, got); diff != "" || e != nil {
			t.Errorf("%s: got the error %v (-want +got):\n%s", body, e, diff)
		}
	}
}

func TestParseAnswer_InvalidReplyIsNotUnderstood(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, ` `, `null`, `201`, `"201"`, `[]`, `{}`, `[{"code":"201"}]`, `{"code":null}`, `{"code":["201"]}`, `{"code":{"code":"201"}}`, `{"Code":"201"}`,
		`{"message":"201"}`, `{"code":"201","code":"100"}`, `{"code":"201","code":"201"}`, `{"code":" 201"}`, `{"code":"201 "}`, `{"code":"201.0"}`, `{"code":201.0}`,
		`{"code":2.01e2}`, `{"code":"sent"}`, `{"code":"-201"}`, `{"code":true}`, `{"code":"201"`, `{"code":"201",`, `{"code":"201","}`, `{"code":"201"} x`,
		`{"code":"201","a","b"}`, `{"code":"201",1}`, `{"code":"201,"x"}`, `{"code":201","x"}`, `{"code":"20","x"}`, `{"code":"2010","x"}`, `{"x","code":"201"}`,
		`{"code":"201","` + strings.Repeat("x", 201) + `"}`, `{"code":"201","a\"b"}`, "{\"code\":\"201\",\"a\nb\"}", `x{"code":"201","y"}`,
		`{'code':'201'}`, `{code:"201"}`, `<html>{"code":"201","x"}</html>`, `201`, `Message Sent Successfully!`, `{"code":"` + strings.Repeat("2", 4000) + `"}`,
		`{"code":254712345678}`, huge, huge + `"`, strings.Repeat(`{"code":`, 1<<20),
	} {
		if got, e := parseAnswer([]byte(body)); got != nil || e != nil {
			t.Errorf("%.60s: got %v and the error %v, want neither", body, got, e)
		}
	}
	if got, _ := parseAnswer([]byte(huge + `"}`)); got == nil {
		t.Error("a reply with 10 MB beside the code: got no result, want one")
	}
}

func TestVerdict_OfEveryRefusal(t *testing.T) {
	t.Parallel()
	want := map[string]providers.Error{
		"100": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials},
		"101": {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit},
		"103": {Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused},
		"105": {Outcome: providers.Rejected, Scope: providers.Text, Cause: providers.CauseRefused},
		"500": {Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseGateway},
	}
	if len(want) != len(refusals) {
		t.Errorf("%d codes tested, %d known", len(want), len(refusals))
	}
	for _, code := range []string{"200", "202", "301", "302", "102", "0", "999999"} {
		want[code] = providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood}
	}
	for code, verdict := range want {
		verdict.Code = code
		for _, body := range []string{`{"code":"` + code + `","message":"No"}`, `{"code":` + code + `}`} {
			got, e := parseAnswer([]byte(body))
			if got != nil || e == nil || *e != verdict {
				t.Errorf("%s: got %v %v, want %v", body, got, e, verdict)
			}
		}
	}
	if refusals["100"].Code != "" {
		t.Error("the calls changed the shared table refusals, want it unchanged")
	}
}

func TestParseBalance_AmountsAndCodes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]float64{
		`{"code":"200","message":"1"}`: 1, `{"code":200,"message":12.5}`: 12.5, `{"code":"200","message":" -3 "}`: -3,
		`{"code":"200","1"}`: 1, `{"code":"200","1250.75"}`: 1250.75,
	} {
		if got, ok, e := parseBalance([]byte(body)); !ok || e != nil || got != want {
			t.Errorf("%s: got %v %v and the error %v, want the amount of the case and true", body, got, ok, e)
		}
	}
	for body, code := range map[string]string{
		`{"code":"200"}`: "", `{"code":"200","message":"KES 1"}`: "", `{"code":"200","message":null}`: "", `{"code":"200","message":[1]}`: "", `{"code":"200",1}`: "",
		`{"code":"200","one"}`: "", `1`: "", `{"message":"1"}`: "", `{"code":"200","message":"1","message":"2"}`: "", `{"code":"200","message":"1e9"}`: "",
		`{"code":"201","message":"1"}`: "201", `{"code":"100","1"}`: "100", `{"code":"100","message":"Invalid"}`: "100",
	} {
		got, ok, e := parseBalance([]byte(body))
		if ok || got != 0 || (e == nil) != (code == "") || e != nil && e.Code != code {
			t.Errorf("%s: got %v %v and the error %v, want no amount and the code of the case", body, got, ok, e)
		}
	}
}

func TestParseList_RowsAndCodes(t *testing.T) {
	t.Parallel()
	columns := []string{"a", "b"}
	for body, want := range map[string][][]string{
		`{"code":"202"}`:                nil,
		`{"code":202,"message":"none"}`: nil,
		`{"10":{"a":"k","b":"x"},"9":{"a":"j","b":"y"},"code":"202","2":{"b":"z","a":"c"}}`: {{"c", "z"}, {"j", "y"}, {"k", "x"}},
		`{"code":"202","0":{"a":1.50,"b":null,"c":"more"}}`:                                 {{"1.50", ""}},
		`{"code":"202","0":{}}`:                                                  {{"", ""}},
		`{"code":"202","0":{"a":[1],"b":true}}`:                                  {{"", ""}},
		`{"code":"202","01":{"a":"second"},"1":{"a":"third"},"0":{"a":"first"}}`: {{"first", ""}, {"second", ""}, {"third", ""}},
		`{"code":"202","0":{"a":" \u00e9\n ","b":"<b>"}}`:                        {{" é\n ", "<b>"}},
		`{"code":"202","No messages"}`:                                           nil,
	} {
		got, ok, e := parseList([]byte(body), "202", columns)
		if diff := cmp.Diff(want, got); diff != "" || !ok || e != nil {
			t.Errorf("%s: %v %v (-want +got):\n%s", body, ok, e, diff)
		}
	}
	for body, code := range map[string]string{
		`{"code":"202","message":"ok","data":{"messages":[{"message_id":"1"}]}}`: "", `{"code":"202","messages":[]}`: "", `{"code":"202","message":{"0":{"a":"x"}}}`: "",
		`{"code":"202","-1":{"a":"x"}}`: "", `{"code":"202","0":{"a":"x"},"x":{"a":"x"}}`: "", `{"code":"202","99999999999999999999":{}}`: "",
		`{"code":"202","0":"x"}`: "", `{"code":"202","0":null}`: "", `{"code":"202","0":[]}`: "", `{"0":{"a":"x"}}`: "", `[]`: "", ``: "", `<html>`: "",
		`{"code":"202","0":{"a":"x","a":"y"}}`: "", `{"code":"202","0":{},"0":{}}`: "", `{"code":"202","0":{"a":"x"`: "",
		`{"code":"302","0":{}}`: "302", `{"code":"100"}`: "100",
	} {
		got, ok, e := parseList([]byte(body), "202", columns)
		if ok || got != nil || (e == nil) != (code == "") || e != nil && e.Code != code {
			t.Errorf("%s: got %v %v and the error %v, want no inbox and the code of the case", body, got, ok, e)
		}
	}
}

func TestParseInbox_KeepsAnInvalidTime(t *testing.T) {
	t.Parallel()
	got, ok, e := parseInbox([]byte(`{"code":"302","0":{"message_from":254712345678,"message_text":" STOP ","message_datetime":"yesterday"},"1":{"message_text":"x"}}`))
	want := []providers.Inbound{
		{From: "254712345678", Text: " STOP ", UnreadTime: "yesterday", Fields: map[string]string{"message_datetime": "yesterday"}}, {Text: "x"},
	}
	if diff := cmp.Diff(want, got); diff != "" || !ok || e != nil {
		t.Errorf("%v %v (-want +got):\n%s", ok, e, diff)
	}
	_, ok, e = parseInbox([]byte(`{"code":"301","message":"Error in fetching data"}`))
	if ok || e == nil || *e != (providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseGateway, Code: "301"}) {
		t.Errorf("code 301: got ok %v and the error %v, want false and the cause gateway", ok, e)
	}
}

func TestParseInbox_TimesAreEastAfrican(t *testing.T) {
	t.Parallel()
	got, _, _ := parseInbox([]byte(`{"code":"302","0":{"message_datetime":"2016-06-11 00:30:00"}}`))
	if want := time.Date(2016, 6, 10, 21, 30, 0, 0, time.UTC); len(got) != 1 || !got[0].At.Equal(want) {
		t.Errorf("got the inbox %+v, want one message at 21:30 UTC", got)
	}
}

// FuzzParseAnswer checks that two parsers find the same code in a reply: parseAnswer, and the simpler
// codeOf.
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"code":"201"," Message Sent Successfully!"}`, `{"code":"201","message":" Message Sent Successfully!"}`, `{"code":101}`, `{"code":"104"}`,
		`{"code":"201","code":"100"}`, `{"code":"200","1"}`, `[{"code":"201"}]`, `<html>201</html>`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		result, e := parseAnswer(body)
		if !slices.Equal(before, body) {
			t.Fatal("the parser changed the body, want it unchanged")
		}
		code := codeOf(body)
		switch {
		case result != nil && e != nil:
			t.Fatalf("%q: got the result %v and the error %v, want only one of them", body, result, e)
		case result != nil && result.Outcome == providers.Accepted:
			if code != "201" || result.Reason != "" {
				t.Fatalf("%q: accepted, want accepted only for code 201", body)
			}
		case result != nil:
			if result.Outcome != providers.Rejected || result.Code != code || code != "104" {
				t.Fatalf("%q: got %+v, want rejected with code 104", body, result)
			}
		case e != nil && (e.Code != code || e.Outcome == providers.Accepted || len(code) > 6):
			t.Fatalf("%q: got the error %v, want one with the code %s", body, e, code)
		}
	})
}

// codeOf returns the code that a simple parser finds in a reply.
func codeOf(body []byte) string {
	var o map[string]any
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if d.Decode(&o) == nil && o["code"] != nil {
		return fmt.Sprint(o["code"])
	}
	_, rest, _ := strings.Cut(string(body), `"code"`)
	rest = strings.TrimLeft(rest, " \t\r\n\f:\"")
	if len(rest) < 3 {
		return ""
	}
	return rest[:3]
}

// FuzzParseLists checks the parsers of a history, an inbox and a balance. Each parser must accept
// only a reply with the code of its action. Every row of a history must be complete.
func FuzzParseLists(f *testing.F) {
	for _, seed := range []string{
		`{"0":{"message_id":"1","message_text":"x"},"code":"202"}`, `{"1":{"message_text":"x","message_datetime":"2016-06-11 06:00:27","message_from":"254"},"code":"302"}`,
		`{"code":"302"}`, `{"code":"301"}`, `{"code":"200","1"}`, `{"code":200,"message":"12.5"}`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, ok, e := parseList(body, codeHistory, historyColumns)
		again, _, _ := parseList(body, codeHistory, historyColumns)
		if ok != (codeOf(body) == codeHistory) && ok || ok && e != nil || !ok && rows != nil || !cmp.Equal(rows, again) {
			t.Fatalf("%q: got the rows %v, ok %v and the error %v, want rows only for the code of a history", body, rows, ok, e)
		}
		for _, row := range rows {
			if len(row) != len(historyColumns) {
				t.Fatalf("%q: got a row of %d fields, want one field for each column", body, len(row))
			}
		}
		inbox, ok, e := parseInbox(body)
		if ok && (e != nil || codeOf(body) != codeInbox) || !ok && inbox != nil {
			t.Fatalf("%q: got the inbox %v, ok %v and the error %v, want messages only for the code of an inbox", body, inbox, ok, e)
		}
		for _, m := range inbox {
			if !m.At.IsZero() && m.Fields != nil {
				t.Fatalf("%q: got the message %+v, want no field for a time that was parsed", body, m)
			}
		}
		if amount, ok, e := parseBalance(body); ok && (e != nil || codeOf(body) != codeBalance) || !ok && amount != 0 {
			t.Fatalf("%q: got the amount %v, ok %v and the error %v, want an amount only for the code of a balance", body, amount, ok, e)
		}
	})
}
