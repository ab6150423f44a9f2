package qserve

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const one, two, three sms.MSISDN = 254725656565, 254722998999, 254110000003

var (
	accepted = providers.Result{Outcome: providers.Accepted}
	missing  = providers.Result{Reason: "not_in_reply"}
)

func odd(code string) providers.Result {
	return providers.Result{Reason: "not_understood", Code: code}
}

func nums(to ...sms.MSISDN) []sms.MSISDN                 { return to }
func res(results ...providers.Result) []providers.Result { return results }

// sentRow returns a row in the form on the vendor's page.
func sentRow(number sms.MSISDN) string {
	return fmt.Sprintf(`{"recipient":"%d","message":"Hello world","statusCode":"Successfully Sent","statusMessage":2}`, number)
}

func rowOf(number sms.MSISDN, rest string) string {
	return fmt.Sprintf(`{"recipient":"%d",%s}`, number, rest)
}

// reply returns a complete answer with the given rows.
func reply(rows ...string) string {
	return `[{"recipientsCount":2,"statusMessage":"Success","statusCode":101,"messageDetails":[` + strings.Join(rows, ",") + `]}]`
}

func TestParseAnswer_EveryForm(t *testing.T) {
	t.Parallel()
	const sent = `"statusCode":"Successfully Sent","statusMessage":2`
	bare := strings.TrimSuffix(strings.TrimPrefix(reply(sentRow(one)), "["), "]")
	for name, tc := range map[string]struct {
		body string
		to   []sms.MSISDN
		want []providers.Result // nil: not understood
	}{
		"the vendor's sample":           {reply(sentRow(one), sentRow(two)), nums(one, two), res(accepted, accepted)},
		"a bare object":                 {bare, nums(one), res(accepted)},
		"white space":                   {" \r\n" + reply(sentRow(one)) + "\n", nums(one), res(accepted)},
		"another order":                 {reply(sentRow(two), sentRow(one)), nums(one, two), res(accepted, accepted)},
		"statusCode as a string":        {strings.Replace(reply(sentRow(one)), ":101", `:"101"`, 1), nums(one), res(accepted)},
		"a number as a number":          {reply(`{"recipient":254725656565,` + sent + `}`), nums(one), res(accepted)},
		"a number with a plus":          {reply(`{"recipient":"+254725656565",` + sent + `}`), nums(one), res(accepted)},
		"fields not swapped":            {reply(rowOf(one, `"statusCode":2,"statusMessage":"Successfully Sent"`)), nums(one), res(accepted)},
		"both words":                    {reply(rowOf(one, `"statusCode":"Success","statusMessage":"SMS sent."`)), nums(one), res(accepted)},
		"number as a string":            {reply(rowOf(one, `"statusCode":"Sent","statusMessage":"2"`)), nums(one), res(accepted)},
		"no second field":               {reply(rowOf(one, `"statusCode":"SENT"`)), nums(one), res(accepted)},
		"null for the second":           {reply(rowOf(one, `"statusCode":null,"statusMessage":"sent"`)), nums(one), res(accepted)},
		"first missing":                 {reply(sentRow(two)), nums(one, two), res(missing, accepted)},
		"last missing":                  {reply(sentRow(one)), nums(one, two), res(accepted, missing)},
		"a number not in the call":      {reply(sentRow(three), sentRow(one)), nums(one, two), res(accepted, missing)},
		"only a number not in the call": {reply(sentRow(three)), nums(one, two), nil},
		"named twice":                   {reply(sentRow(one), sentRow(one)), nums(one, two), res(accepted, missing)},
		"sent, then failed":             {reply(sentRow(one), rowOf(one, `"statusCode":"Failed","statusMessage":0`)), nums(one), res(odd("Failed"))},
		"failed, then sent":             {reply(rowOf(one, `"statusCode":"Failed","statusMessage":0`), sentRow(one)), nums(one), res(odd("Failed"))},
		"not sent":                      {reply(rowOf(one, `"statusCode":"Not Sent","statusMessage":2`), sentRow(two)), nums(one, two), res(odd("Not Sent"), accepted)},
		"unsent":                        {reply(rowOf(one, `"statusCode":"unsent","statusMessage":2`)), nums(one), res(odd("unsent"))},
		"to be sent":                    {reply(rowOf(one, `"statusCode":"To be sent","statusMessage":2`)), nums(one), res(odd("To be sent"))},
		"sending failed":                {reply(rowOf(one, `"statusCode":"Sent","statusMessage":"Failed"`)), nums(one), res(odd("Sent"))},
		"success alone":                 {reply(rowOf(one, `"statusCode":"Success","statusMessage":2`)), nums(one), res(odd("Success"))},
		"sent and a number":             {reply(rowOf(one, `"statusCode":"Sent 0","statusMessage":2`)), nums(one), res(odd(""))},
		"a number given back":           {reply(rowOf(one, `"statusCode":"Failed 254725656565"`)), nums(one), res(odd(""))},
		"numbers alone":                 {reply(rowOf(one, `"statusCode":101,"statusMessage":2`)), nums(one), res(odd(""))},
		"a negative number":             {reply(rowOf(one, `"statusCode":"Sent","statusMessage":-1`)), nums(one), res(odd("Sent"))},
		"a truth":                       {reply(rowOf(one, `"statusCode":"Sent","statusMessage":false`)), nums(one), res(odd("Sent"))},
		"a list":                        {reply(rowOf(one, `"statusCode":["Sent"]`)), nums(one), res(odd(""))},
		"nothing said":                  {reply(`{"recipient":"254725656565"}`, sentRow(two)), nums(one, two), res(odd(""), accepted)},
		"sent only in the message":      {reply(rowOf(one, `"message":"sent","statusCode":"","statusMessage":2`)), nums(one), res(odd(""))},
		"a long word":                   {reply(rowOf(one, `"statusCode":"`+strings.Repeat("x", 65)+`"`)), nums(one), res(odd(""))},
		"one field twice":               {reply(rowOf(one, `"statusCode":"Failed","statusCode":"Sent"`), sentRow(two)), nums(one, two), res(missing, accepted)},
		"rows that are none":            {reply(`null`, `7`, `"254725656565"`, `[]`, sentRow(one)), nums(one), res(accepted)},
		"the count disagrees":           {strings.Replace(reply(sentRow(one)), `Count":2`, `Count":0`, 1), nums(one, two), res(accepted, missing)},
		"no count":                      {strings.Replace(reply(sentRow(one)), `"recipientsCount":2,`, ``, 1), nums(one), res(accepted)},
		"the national form":             {reply(`{"recipient":"0725656565",` + sent + `}`), nums(one), res(accepted)},
		"the national form without 0":   {reply(`{"recipient":"725656565",` + sent + `}`), nums(one), res(accepted)},
		"the national form of another":  {reply(`{"recipient":"0725656566",` + sent + `}`), nums(one), nil},
		"a form of two recipients":      {reply(`{"recipient":"725656565",`+sent+`}`, sentRow(two)), nums(one, two, 725656565), res(missing, accepted, missing)},
		"the outer object's words":      {reply(rowOf(one, `"statusCode":101,"statusMessage":"Success"`)), nums(one), res(accepted)},
		"the outer code, not success":   {reply(rowOf(one, `"statusCode":101,"statusMessage":"Failed"`)), nums(one), res(odd("Failed"))},
		"as the vendor's page prints it": {"[\n{\nrecipientsCount: 2,\nstatusMessage: \"Success\",\nstatusCode: 101,\nBalance: 8823, //Remaining Account SMS Credits\nmessageDetails: [\n" +
			"{\nrecipient: \"254725656565\",\nmessage: \"Hello // world: \\\"x: 1\\\"\",\nstatusCode: \"Successfully Sent\",\nstatusMessage: 2\n},\n" +
			"{\nrecipient: \"254722998999\",\nmessage: \"Hello world\",\nstatusCode: \"Successfully Sent\",\nstatusMessage: 2\n}\n]\n}\n]",
			nums(one, two), []providers.Result{{Outcome: providers.Accepted, Balance: &providers.Balance{Amount: 8823}}, accepted}},
		"a short number":              {reply(`{"recipient":"25472565656",` + sent + `}`), nums(one), nil},
		"a number in exponents":       {reply(`{"recipient":2.54725656565e11,` + sent + `}`), nums(one), nil},
		"a huge number":               {reply(`{"recipient":` + strings.Repeat("9", 4000) + `,` + sent + `}`), nums(one), nil},
		"no rows":                     {reply(), nums(one), nil},
		"rows are an object":          {`[{"statusCode":101,"messageDetails":` + sentRow(one) + `}]`, nums(one), nil},
		"no messageDetails":           {`[{"recipientsCount":1,"statusMessage":"Success","statusCode":101,"Balance":1}]`, nums(one), nil},
		"no statusCode":               {strings.Replace(reply(sentRow(one)), `"statusCode":101,`, ``, 1), nums(one), nil},
		"101.0":                       {strings.Replace(reply(sentRow(one)), `:101`, `:101.0`, 1), nums(one), nil},
		"1010":                        {strings.Replace(reply(sentRow(one)), `:101`, `:10100000`, 1), nums(one), nil},
		"two codes":                   {strings.Replace(reply(sentRow(one)), `:101`, `:101,"statusCode":102`, 1), nums(one), nil},
		"done, with an error code":    {strings.Replace(reply(sentRow(one)), `"Success"`, `"X001"`, 1), nums(one), nil},
		"an error code and rows":      {strings.Replace(reply(sentRow(one)), `101`, `"X001"`, 1), nums(one), nil},
		"two objects":                 {strings.Replace(reply(sentRow(one)), `]}]`, `]},{}]`, 1), nums(one), nil},
		"an empty list":               {`[]`, nums(one), nil},
		"a list in a list":            {`[` + reply(sentRow(one)) + `]`, nums(one), nil},
		"an empty object":             {`{}`, nums(one), nil},
		"null":                        {`null`, nums(one), nil},
		"null in a list":              {`[null]`, nums(one), nil},
		"truncated":                   {reply(sentRow(one))[:120], nums(one), nil},
		"something behind":            {reply(sentRow(one)) + "x", nums(one), nil},
		"printed, without recipients": {`[{recipientsCount: 1, statusCode: 101}]`, nums(one), nil},
		"HTML":                        {"<html>254725656565 Successfully Sent 101</html>", nums(one), nil},
		"text":                        {"Successfully Sent", nums(one), nil},
		"empty":                       {"", nums(one), nil},
	} {
		got, e := parseAnswer([]byte(tc.body), tc.to)
		if e != nil {
			t.Errorf("%s: got the error %v, want none", name, e)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseAnswer_BalanceIsOnTheFirstResult(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]*providers.Balance{
		`8823`: {Amount: 8823}, `"8823.5"`: {Amount: 8823.5}, `-2`: {Amount: -2},
		`null`: nil, `"8,823"`: {Amount: 8823}, `"KES 1"`: nil, `"8,82"`: nil, `true`: nil, `1e3`: nil, `""`: nil,
	} {
		body := strings.Replace(reply(sentRow(two)), `"statusCode":101`, `"statusCode":101,"Balance":`+written, 1)
		got, _ := parseAnswer([]byte(body), nums(one, two))
		if len(got) != 2 || !cmp.Equal(got[0].Balance, want) || got[1].Balance != nil {
			t.Errorf("%s: got the results %+v, want the balance in the first result only", written, got)
		}
	}
}

func TestVerdict_OfEveryErrorCode(t *testing.T) {
	t.Parallel()
	credentials := providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials}
	want := map[string]providers.Error{
		"X000": {Outcome: providers.Rejected, Scope: providers.Text, Cause: providers.CauseRefused},
		"X001": credentials, "X002": credentials, "X003": credentials,
	}
	if len(want) != len(answers) {
		t.Errorf("%d codes tested, %d known", len(want), len(answers))
	}
	for code, verdict := range want {
		verdict.Code = code
		for _, shape := range []string{
			`[{"statusCode":"CODE","statusMessage":"Unknown or unvalid secret_key"}]`, `{"statusCode":"CODE"}`, `[{"code":" CODE "}]`,
			`{"code":"CODE","message":"anything","statusCode":401}`, `{"error":"CODE"}`, `[{"statusMessage":"CODE","statusCode":0}]`,
			`{"statusCode":"CODE","code":"CODE","messageDetails":[]}`, `{"code":"CODE","messageDetails":null}`,
			`CODE`, "\r\nCODE\n", `"CODE"`, `CODE: Some text.`, `{"error_code":"CODE"}`, `{"errorCode":"CODE","status":"error"}`, `{"status":"CODE"}`,
			`{"error":{"code":"CODE"}}`, `{"errors":{"api_key":{"code":"CODE"}}}`, `{"message":"CODE: Unknown or unvalid secret_key"}`, `[{statusCode: "CODE", statusMessage: "No"}]`,
		} {
			body := []byte(strings.ReplaceAll(shape, "CODE", code))
			results, e := parseAnswer(body, nums(one))
			if results != nil || e == nil {
				t.Errorf("%s: got the results %v and the verdict %v, want only a verdict", body, results, e)
				continue
			}
			if diff := cmp.Diff(verdict, *e); diff != "" {
				t.Errorf("%s (-want +got):\n%s", body, diff)
			}
			if _, e = parseCredits(body); e == nil || !cmp.Equal(verdict, *e) {
				t.Errorf("a reply %s about credits: got the verdict %v, want the same as for a send", body, e)
			}
		}
		if answers[code].Code != "" {
			t.Error("the calls changed the shared table answers, want it unchanged")
		}
	}
	for _, body := range []string{
		`{"code":"X001","statusCode":"X000"}`, `{"code":"X001","statusCode":101}`, `{"code":"X004"}`, `{"code":"x001"}`, `{"code":["X001"]}`,
		`{"code":"X001","messageDetails":{}}`, `{"message":"X0012"}`, `{"message":"the key X001 is not known"}`, `X0012`, `{"error":{"code":"X001","detail":"X002"}}`,
		`{"a":{"b":{"c":{"d":{"e":"X001"}}}}}`, `<html>X001</html>`,
	} {
		if results, e := parseAnswer([]byte(body), nums(one)); results != nil || e != nil {
			t.Errorf("%s: got the results %v and the error %v, want neither", body, results, e)
		}
	}
}

func TestVerdict_UndocumentedCodeIsUnknown(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{`102`: "102", `"X004"`: "X004", `"Failed"`: "Failed", `254725656565`: "", `"no credit"`: "", `-1`: ""} {
		_, e := parseAnswer([]byte(`[{"statusCode":`+written+`,"messageDetails":[`+sentRow(one)+`]}]`), nums(one))
		if want == "" {
			if e != nil {
				t.Errorf("%s: got the error %v, want none", written, e)
			}
			continue
		}
		if e == nil || *e != (providers.Error{Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: want}) {
			t.Errorf("%s: got the error %v, want unknown with the code of the case", written, e)
		}
	}
}

func TestParseCredits_Amounts(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]float64{
		`[{"credits":"345","statusCode":101}]`: 345, `{"credits":12.5,"statusCode":"101"}`: 12.5, `[{"credits":"-3","statusCode":101}]`: -3,
	} {
		if got, e := parseCredits([]byte(body)); e != nil || got == nil || got.Amount != want || got.Currency != "" {
			t.Errorf("%s: got the balance %v and the error %v, want the credits of the case", body, got, e)
		}
	}
	for _, body := range []string{
		``, `[]`, `{}`, `345`, `[{"credits":"345"}]`, `[{"credits":"","statusCode":101}]`, `[{"statusCode":101}]`, `[{"credits":[345],"statusCode":101}]`,
		`[{"credits":"345","statusCode":101}`, `[{"credits":"KES 345","statusCode":101}]`, `[{"credits":1,"credits":2,"statusCode":101}]`, `<html>`,
	} {
		if got, e := parseCredits([]byte(body)); got != nil || e != nil {
			t.Errorf("%s: got the balance %v and the error %v, want neither", body, got, e)
		}
	}
}

func TestParseAnswer_LongAndHugeReplies(t *testing.T) {
	t.Parallel()
	var to []sms.MSISDN
	var rows []string
	for i := range sms.MSISDN(100) {
		to = append(to, one+i)
		rows = append(rows, strings.Replace(sentRow(one+i), "Hello world", strings.Repeat("long ", 400), 1))
	}
	slices.Reverse(rows)
	got, _ := parseAnswer([]byte(reply(rows...)), to)
	if len(got) != 100 || slices.ContainsFunc(got, func(r providers.Result) bool { return r != accepted }) {
		t.Errorf("got the results %+v, want 100 accepted", got)
	}
	for _, body := range []string{strings.Repeat("[", 10<<20), strings.Repeat(`{"a":`, 2<<20), reply(`"` + strings.Repeat("x", 10<<20) + `"`)} {
		if got, e := parseAnswer([]byte(body), nums(one)); got != nil || e != nil {
			t.Errorf("%.20s…: got the results %v and the error %v, want neither", body, got, e)
		}
	}
}

// FuzzParseAnswer compares parseAnswer with the simpler parser "vouches". If parseAnswer accepts a
// recipient, the simpler parser must find a row with the recipient's number and the word "sent".
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{
		reply(sentRow(one), sentRow(two)), reply(rowOf(one, `"statusCode":2,"statusMessage":"Sent"`)), reply(rowOf(two, `"statusCode":"Not Sent"`)),
		`{"statusCode":"X001"}`, `[{"code":"X000","messageDetails":[]}]`, `[{"statusCode":102}]`, `[{}]`, `<html>`, ``,
	} {
		f.Add([]byte(seed))
	}
	to := nums(one, two, three)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		results, e := parseAnswer(body, to)
		if !slices.Equal(before, body) {
			t.Fatal("the parser changed the body, want it unchanged")
		}
		switch {
		case e != nil:
			if results != nil || e.Outcome == providers.Accepted || len(e.Code) > 64 || !strings.Contains(spelledOut(body), e.Code) {
				t.Fatalf("%q: got the error %v with results %v, want a permitted error without results", body, e, results)
			}
			return
		case results == nil:
			return
		case len(results) != len(to):
			t.Fatalf("%q: got %d results, want one for each recipient", body, len(results))
		}
		for i, r := range results {
			switch {
			case r.Outcome == providers.Accepted:
				if !vouches(body, to[i]) || r.Reason != "" {
					t.Fatalf("%q: %s is accepted, but no row has its number and the word \"sent\"", body, to[i])
				}
			case r.Outcome != providers.Unknown || r.Reason == "" || len(r.Code) > 64 || strings.ContainsAny(r.Code, "0123456789"):
				t.Fatalf("%q: got the contradictory result %+v, want a consistent one", body, r)
			}
		}
	})
}

// spelledOut returns the reply with every escape decoded, or unchanged if it is not JSON.
func spelledOut(body []byte) string {
	var v any
	if json.Unmarshal(body, &v) != nil && json.Unmarshal(relaxed(body), &v) != nil {
		return string(body)
	}
	return fmt.Sprint(v)
}

// vouches reports whether a row of the reply has the number and states that the message was sent.
// The number may be in its international form or in Kenya's national form.
func vouches(body []byte, number sms.MSISDN) bool {
	if !json.Valid(body) {
		body = relaxed(body)
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	var reply any
	if d.Decode(&reply) != nil {
		return false
	}
	national := func(number string) string {
		number = strings.TrimPrefix(strings.TrimSpace(number), "+")
		return strings.TrimPrefix(strings.TrimPrefix(number, "254"), "0")
	}
	if list, ok := reply.([]any); ok && len(list) == 1 {
		reply = list[0]
	}
	outer, _ := reply.(map[string]any)
	rows, _ := outer["messageDetails"].([]any)
	for _, each := range rows {
		row, _ := each.(map[string]any)
		said := strings.ToLower(fmt.Sprint(row["statusCode"], " ", row["statusMessage"]))
		sent := strings.Contains(said, "sent") || strings.Contains(said, "101 success")
		if national(fmt.Sprint(row["recipient"])) == national(number.String()) && sent && !strings.Contains(said, "not") {
			return strings.TrimSpace(fmt.Sprint(outer["statusCode"])) == "101"
		}
	}
	return false
}

func FuzzParseCredits(f *testing.F) {
	for _, seed := range []string{`[{"credits":"345","statusCode":101}]`, `{"credits":-1.5,"statusCode":"101"}`, `[{"code":"X002"}]`, `[{"statusCode":7}]`, `X001: unknown key`, `"X000": `, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, e := parseCredits(body)
		text := spelledOut(body)
		switch {
		case got != nil && e != nil:
			t.Fatalf("%q: got the balance %v and the error %v, want only one of them", body, got, e)
		case got != nil && (!strings.Contains(text, "credits") || !strings.Contains(text, "101")):
			t.Fatalf("%q: got the balance %v from a body without credits or code 101", body, got)
		case e != nil && (e.Outcome == providers.Accepted || !strings.Contains(text, e.Code)):
			t.Fatalf("%q: got the error %v, want one whose code the body contains", body, e)
		}
	})
}
