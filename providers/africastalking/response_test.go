package africastalking

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

const (
	one, two, three sms.MSISDN = 254711000001, 254733000002, 2348030000022
	idA                        = "ATXid_7468c9a251f9e9efcc6b2f7ea756a56c"
	idB                        = "ATXid_40a5404d3601b05f329868e9ae4924c2"
)

func nums(to ...sms.MSISDN) []sms.MSISDN                 { return to }
func res(results ...providers.Result) []providers.Result { return results }

func accepted(id string) providers.Result {
	return providers.Result{Outcome: providers.Accepted, MessageID: id, Cost: "0.8000", Currency: "KES"}
}

var missing = providers.Result{Reason: "not_in_reply"}

func unclear(code string) providers.Result {
	return providers.Result{Reason: "not_understood", Code: code}
}

// The function "costing" returns a copy of r with the given message ID. It also sets the cost and the
// currency that the function row() writes into a reply.
func costing(r providers.Result, id string) providers.Result {
	r.MessageID, r.Cost, r.Currency = id, "0.8000", "KES"
	return r
}

// row returns one recipient as JSON.
func row(number, code, status, id string) string {
	return fmt.Sprintf(`{"cost":"KES 0.8000","messageId":%q,"number":%q,"status":%q,"statusCode":%s}`, id, number, status, code)
}

// jsonReply returns a complete JSON reply with the given rows.
func jsonReply(rows ...string) string {
	return `{"SMSMessageData":{"Message":"Sent to 1/1 Total Cost: KES 0.8000","Recipients":[` + strings.Join(rows, ",") + `]}}`
}

// xmlRow and xmlReply return the same content as row and jsonReply, in XML.
func xmlRow(number, code, status, id string) string {
	return fmt.Sprintf("<Recipient><number>%s</number><cost>KES 0.8000</cost><status>%s</status><statusCode>%s</statusCode><messageId>%s</messageId></Recipient>",
		number, status, code, id)
}

func xmlReply(rows ...string) string {
	return `<?xml version="1.0"?>` + "\n<AfricasTalkingResponse><SMSMessageData><Message>Sent to 1/1 Total Cost: KES 0.8000</Message><Recipients>" +
		strings.Join(rows, "\n") + "</Recipients></SMSMessageData></AfricasTalkingResponse>\n"
}

// TestParseAnswer_RecipientsInJSONAndXML reads the same rows as JSON and as XML.
func TestParseAnswer_RecipientsInJSONAndXML(t *testing.T) {
	t.Parallel()
	type rows [][4]string
	const a, b = "+254711000001", "+254733000002"
	for name, tc := range map[string]struct {
		rows rows
		to   []sms.MSISDN
		want []providers.Result // nil: not understood
	}{
		"one":                           {rows{{a, "102", "Success", idA}}, nums(one), res(accepted(idA))},
		"two":                           {rows{{a, "101", "Success", idA}, {b, "100", "Success", idB}}, nums(one, two), res(accepted(idA), accepted(idB))},
		"other order":                   {rows{{b, "101", "Success", idB}, {a, "101", "Success", idA}}, nums(one, two), res(accepted(idA), accepted(idB))},
		"first missing":                 {rows{{b, "101", "Success", idB}}, nums(one, two), res(missing, accepted(idB))},
		"middle missing":                {rows{{a, "101", "Success", idA}, {"+2348030000022", "101", "Success", idB}}, nums(one, two, three), res(accepted(idA), missing, accepted(idB))},
		"a number not in the call":      {rows{{"+2348030000022", "101", "Success", idB}, {a, "101", "Success", idA}}, nums(one, two), res(accepted(idA), missing)},
		"only a number not in the call": {rows{{"+2348030000022", "101", "Success", idB}}, nums(one, two), nil},
		"without plus":                  {rows{{"254711000001", "101", "Success", idA}}, nums(one), res(accepted(idA))},
		"with a space":                  {rows{{" 254711000001", "101", "Success", idA}}, nums(one), res(accepted(idA))},
		"national form":                 {rows{{"0711000001", "101", "Success", idA}}, nums(one), nil},
		"two plus":                      {rows{{"++254711000001", "101", "Success", idA}}, nums(one), nil},
		"a number and more":             {rows{{a + " ", "101", "Success", idA}, {b + "x", "101", "Success", idB}}, nums(one, two), res(accepted(idA), missing)},
		"a number cut":                  {rows{{"+25471100000", "101", "Success", idA}}, nums(one), nil},
		"too long a number":             {rows{{"+2547110000010000000000", "101", "Success", idA}}, nums(one), nil},
		"no number":                     {rows{{"", "101", "Success", idA}}, nums(one), nil},
		"None for an id":                {rows{{a, "102", "Success", "None"}}, nums(one), res(accepted(""))},
		"none for an id":                {rows{{a, "102", "Success", " none "}}, nums(one), res(accepted(""))},
		"no id":                         {rows{{a, "102", "Success", ""}}, nums(one), res(accepted(""))},
		"an id with odd signs":          {rows{{a, "102", "Success", "ATXid 1"}}, nums(one), res(accepted(""))},
		"an id too long":                {rows{{a, "102", "Success", strings.Repeat("A", 129)}}, nums(one), res(accepted(""))},
		"no status":                     {rows{{a, "102", "", idA}}, nums(one), res(accepted(idA))},
		"an unknown status":             {rows{{a, "102", "Marvellous", idA}}, nums(one), res(accepted(idA))},
		"Queued":                        {rows{{a, "102", "queued", idA}}, nums(one), res(accepted(idA))},
		"101, invalid number":           {rows{{a, "101", "InvalidPhoneNumber", idA}}, nums(one), res(costing(unclear("101"), idA))},
		"101, Failed":                   {rows{{a, "101", "Failed", idA}}, nums(one), res(costing(unclear("101"), idA))},
		"101, InsufficientBalance":      {rows{{a, "101", "InsufficientBalance", idA}}, nums(one), res(costing(unclear("101"), idA))},
		"403, Success":                  {rows{{a, "403", "Success", "None"}}, nums(one), res(costing(unclear("403"), ""))},
		"403, InvalidSenderId":          {rows{{a, "403", "InvalidSenderId", "None"}}, nums(one), res(costing(unclear("403"), ""))},
		"500, RejectedByGateway":        {rows{{a, "500", "RejectedByGateway", "None"}}, nums(one), res(costing(unclear("500"), ""))},
		"404, CouldNotRoute":            {rows{{a, "404", "CouldNotRoute", "None"}}, nums(one), res(costing(providers.Result{Outcome: providers.Rejected, Reason: "unsupported_number", Code: "404"}, ""))},
		"UserInBlacklist":               {rows{{a, "406", "UserInBlacklist", "None"}}, nums(one), res(costing(providers.Result{Outcome: providers.Rejected, Reason: "blacklisted", Code: "406"}, ""))},
		"an unknown code":               {rows{{a, "408", "Success", idA}}, nums(one), res(costing(unclear("408"), idA))},
		"code 0":                        {rows{{a, "0", "Success", idA}}, nums(one), res(costing(unclear("0"), idA))},
		"a huge code":                   {rows{{a, "101000000000000000000000", "Success", idA}}, nums(one), res(unclear(""))},
		"a negative code":               {rows{{a, "-101", "Success", idA}}, nums(one), res(unclear(""))},
		"a code with a fraction":        {rows{{a, "101.0", "Success", idA}}, nums(one), res(unclear(""))},
		"a code with an exponent":       {rows{{a, "1.01e2", "Success", idA}}, nums(one), res(unclear(""))},
		"twice the same":                {rows{{a, "101", "Success", idA}, {a, "101", "Success", idA}}, nums(one, two), res(accepted(idA), missing)},
		"twice, with other ids":         {rows{{a, "101", "Success", idA}, {a, "102", "Success", idB}}, nums(one), res(accepted(idA))},
		"accepted, then rejected":       {rows{{a, "101", "Success", idA}, {a, "403", "", "None"}}, nums(one), res(unclear(""))},
		"rejected, then accepted":       {rows{{a, "403", "", "None"}, {"254711000001", "101", "Success", idA}}, nums(one), res(unclear(""))},
		"thrice, and undecided":         {rows{{a, "403", "", "None"}, {a, "101", "Success", idA}, {a, "101", "Success", idA}}, nums(one), res(unclear(""))},
		"retryable, then rejected":      {rows{{a, "500", "", "None"}, {a, "502", "", "None"}}, nums(one), res(unclear(""))},
		"mixed":                         {rows{{b, "403", "InvalidPhoneNumber", "None"}, {a, "101", "Success", idA}}, nums(one, two), res(accepted(idA), costing(providers.Result{Outcome: providers.Rejected, Reason: "invalid_number", Code: "403"}, ""))},
		"positions tell nothing":        {rows{{b, "101", "Success", idB}, {"+2348030000022", "403", "", "None"}}, nums(one, two), res(missing, accepted(idB))},
	} {
		var js, xs []string
		for _, r := range tc.rows {
			js, xs = append(js, row(r[0], r[1], r[2], r[3])), append(xs, xmlRow(r[0], r[1], r[2], r[3]))
		}
		for format, body := range map[string]string{
			"JSON": jsonReply(js...), "XML": xmlReply(xs...), "white space": "\r\n " + jsonReply(js...) + "\n",
		} {
			got, e := parseAnswer([]byte(body), tc.to)
			if e != nil {
				t.Errorf("%s, %s: got the error %v, want none", name, format, e)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, format, diff)
			}
		}
	}
}

func TestVerdict_OfEveryCode(t *testing.T) {
	t.Parallel()
	const rejected, retryable = providers.Rejected, providers.Retryable
	want := map[int]providers.Result{
		100: {Outcome: providers.Accepted}, 101: {Outcome: providers.Accepted}, 102: {Outcome: providers.Accepted},
		401: {Outcome: rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Reason: "risk_hold"},
		402: {Outcome: rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Reason: "invalid_sender"},
		403: {Outcome: rejected, Reason: "invalid_number"},
		404: {Outcome: rejected, Reason: "unsupported_number"},
		405: {Outcome: retryable, Scope: providers.Account, Cause: providers.CauseCredit, Reason: "no_credit"},
		406: {Outcome: rejected, Reason: "blacklisted"},
		407: {Outcome: rejected, Reason: "no_route"},
		409: {Outcome: rejected, Reason: "do_not_disturb"},
		500: {Outcome: retryable, Reason: "gateway_error"},
		501: {Outcome: retryable, Reason: "gateway_error"},
		502: {Outcome: rejected, Reason: "rejected_by_gateway"},
	}
	for code := range 1000 {
		r, known := want[code]
		status := codes[code].name
		if !known {
			r = unclear("")
		}
		if r.Outcome != providers.Accepted {
			r.Code = fmt.Sprint(code)
		}
		r.Cost, r.Currency = "0.8000", "KES"
		for _, body := range []string{
			jsonReply(row("+254711000001", fmt.Sprint(code), status, "None")), jsonReply(row("+254711000001", fmt.Sprintf("%q", fmt.Sprint(code)), status, "None")),
			xmlReply(xmlRow("+254711000001", fmt.Sprintf(" %d\n", code), status, "None")),
		} {
			if got, e := parseAnswer([]byte(body), nums(one)); e != nil || !slices.Equal(got, res(r)) {
				t.Errorf("code %d: got %+v %v, want %+v", code, got, e, r)
			}
		}
	}
}

func TestParseAnswer_OddReplies(t *testing.T) {
	t.Parallel()
	good := row("+254711000001", "101", "Success", idA)
	full := jsonReply(good)
	fullXML := xmlReply(xmlRow("+254711000001", "101", "Success", idA))
	inside := func(members string) string {
		return `{"SMSMessageData":{"Message":"","Recipients":[{"number":"+254711000001",` + members + `}]}}`
	}
	ok, none := providers.Result{Outcome: providers.Accepted}, providers.Result{Reason: "not_understood"}
	for name, tc := range map[string]struct {
		body string
		want []providers.Result // nil: not understood
	}{
		"the vendor's shared page":             {`{"SMSMessageData":{"Message":"Sent to 1/1 Total Cost: USD 0.0079 Message parts: 1","Recipients":[{"cost":"KES 0.8000","messageId":"` + idA + `","number":"+254711000001","status":"Success","statusCode":102}]}}`, res(accepted(idA))},
		"Nigeria's refusal":                    {`{"SMSMessageData":{"Message":"Sent to 0/1 Total Cost: 0","Recipients":[{"cost":"0","messageId":"None","number":"+254711000001","status":"DoNotDisturbRejection","statusCode":409}]}}`, res(providers.Result{Outcome: providers.Rejected, Reason: "do_not_disturb", Code: "409", Cost: "0"})},
		"only number and code":                 {inside(`"statusCode":101`), res(ok)},
		"further members":                      {inside(`"statusCode":101,"parts":[1,{"statusCode":403}]`), res(ok)},
		"cost 0 as a number":                   {inside(`"statusCode":101,"cost":0`), res(providers.Result{Outcome: providers.Accepted, Cost: "0"})},
		"cost null":                            {inside(`"statusCode":101,"cost":null,"messageId":null,"status":null`), res(ok)},
		"cost an object":                       {inside(`"statusCode":101,"cost":{"KES":1}`), res(ok)},
		"cost no amount":                       {inside(`"statusCode":101,"cost":"KES YY"`), res(ok)},
		"an id that is a number":               {inside(`"statusCode":101,"messageId":15071`), res(providers.Result{Outcome: providers.Accepted, MessageID: "15071"})},
		"an id twice":                          {inside(`"statusCode":101,"messageId":"a1","messageId":"a2"`), nil},
		"no code":                              {inside(`"status":"Success"`), res(none)},
		"code null":                            {inside(`"statusCode":null`), res(none)},
		"code true":                            {inside(`"statusCode":true`), res(none)},
		"code a list":                          {inside(`"statusCode":[101]`), res(none)},
		"code a word":                          {inside(`"statusCode":"Success"`), res(none)},
		"code with a zero before":              {inside(`"statusCode":"0101"`), res(none)},
		"code with a plus":                     {inside(`"statusCode":"+101"`), res(none)},
		"code twice":                           {inside(`"statusCode":101,"statusCode":403`), nil},
		"code twice the same":                  {inside(`"statusCode":101,"statusCode":101`), nil},
		"code in two spellings":                {inside(`"statusCode":403,"StatusCode":101`), nil},
		"status an object":                     {inside(`"statusCode":101,"status":{}`), res(none)},
		"status twice":                         {inside(`"statusCode":101,"status":"Success","status":"Failed"`), nil},
		"number twice":                         {inside(`"number":"+254733000002","statusCode":101`), nil},
		"number a number":                      {`{"SMSMessageData":{"Message":"","Recipients":[{"number":254711000001,"statusCode":101}]}}`, nil},
		"no number":                            {`{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[{"statusCode":101}]}}`, nil},
		"a list of other things":               {`{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[1,null,"+254711000001",[],{}]}}`, nil},
		"a member in another case":             {`{"SMSMessageData":{"message":"InvalidSenderId","Recipients":[]}}`, nil},
		"other things and one":                 {`{"SMSMessageData":{"Message":"","Recipients":[1,null,"x",[],{},{"number":"+254733000002","number":"x"},` + good + `]}}`, res(accepted(idA))},
		"recipients an object":                 {`{"SMSMessageData":{"Message":"","Recipients":` + good + `}}`, nil},
		"recipients null, with a text message": {`{"SMSMessageData":{"Message":"Hello","Recipients":null}}`, nil},
		"recipients twice":                     {`{"SMSMessageData":{"Message":"","Recipients":[` + good + `],"Recipients":[]}}`, nil},
		"message an object":                    {`{"SMSMessageData":{"Message":{},"Recipients":[` + good + `]}}`, nil},
		"data twice":                           {`{"SMSMessageData":{"Recipients":[` + good + `]},"SMSMessageData":{"Recipients":[]}}`, nil},
		"data a list":                          {`{"SMSMessageData":[` + full + `]}`, nil},
		"data null":                            {`{"SMSMessageData":null}`, nil},
		"no envelope":                          {`{"Message":"","Recipients":[` + good + `]}`, nil},
		"a bare list":                          {`[` + good + `]`, nil},
		"empty object":                         {`{}`, nil},
		"null":                                 {`null`, nil},
		"empty":                                {``, nil},
		"text":                                 {`The supplied authentication is invalid`, nil},
		"JSON and more":                        {full + full, nil},
		"a warning before JSON":                {"<b>Warning</b>: x\n" + full, nil},
		"JSON cut":                             {full[:len(full)-1], nil},
		"JSON cut in a recipient":              {full[:len(full)-30], nil},
		"XML cut":                              {fullXML[:len(fullXML)-5], nil},
		"XML and more":                         {fullXML + "x", nil},
		"XML twice":                            {fullXML + fullXML, nil},
		"XML and a comment":                    {fullXML + "<!-- served by 7 -->\n", res(accepted(idA))},
		"XML without its first line":           {fullXML[strings.IndexByte(fullXML, '\n'):], res(accepted(idA))},
		"XML in Latin-1":                       {strings.Replace(fullXML, `"1.0"`, `"1.0" encoding="ISO-8859-1"`, 1), nil},
		"XML in CDATA":                         {strings.Replace(fullXML, "101", "<![CDATA[101]]>", 1), res(accepted(idA))},
		"XML with an entity":                   {strings.Replace(fullXML, "101", "&accept;", 1), nil},
		"XML with a doctype":                   {`<!DOCTYPE a [<!ENTITY b "c">]>` + fullXML[strings.IndexByte(fullXML, '\n'):], res(accepted(idA))},
		"XML, code twice":                      {strings.Replace(fullXML, "<statusCode>", "<statusCode>403</statusCode><statusCode>", 1), res(none)},
		"XML, no code":                         {strings.Replace(fullXML, "<statusCode>101</statusCode>", "", 1), res(accepted(idA))},
		"no code, of 2016":                     {jsonReply(`{"number":"+254711000001","status":"Could Not Send","cost":"0","messageId":"None"}`), res(providers.Result{Outcome: providers.Rejected, Reason: "could_not_send", Code: "Could Not Send", Cost: "0"})},
		"no code, not sent but with an ID":     {jsonReply(`{"number":"+254711000001","status":"Could Not Send","messageId":"` + idA + `"}`), res(none)},
		"no code, sent but without an ID":      {jsonReply(`{"number":"+254711000001","status":"Success","messageId":"None"}`), res(none)},
		"no code, of a blacklisted number":     {jsonReply(`{"number":"+254711000001","status":"UserInBlacklist","messageId":"None"}`), res(providers.Result{Outcome: providers.Rejected, Reason: "blacklisted", Code: "UserInBlacklist"})},
		"neither code nor status":              {jsonReply(`{"number":"+254711000001","messageId":"` + idA + `"}`), res(none)},
		"XML, status twice":                    {strings.Replace(fullXML, "<status>", "<status>Failed</status><status>", 1), res(none)},
		"XML, number twice":                    {strings.Replace(fullXML, "<number>", "<number>+254733000002</number><number>", 1), nil},
		"XML, recipients twice":                {strings.Replace(fullXML, "<Recipients>", "<Recipients/><Recipients>", 1), nil},
		"XML, no recipients":                   {strings.ReplaceAll(fullXML, "Recipients", "Others"), nil},
		"XML, data twice":                      {strings.Replace(fullXML, "<SMSMessageData>", "<SMSMessageData/><SMSMessageData>", 1), nil},
		"XML, message twice":                   {strings.Replace(fullXML, "<Message>", "<Message>x</Message><Message>", 1), nil},
		"XML of another root":                  {strings.ReplaceAll(fullXML, "AfricasTalkingResponse", "Response"), nil},
		"XML in lower case":                    {strings.ToLower(fullXML), nil},
		"a web page":                           {"<!DOCTYPE html>\n<html><body>+254711000001 101 Success</body></html>", nil},
		"a web page around a reply":            {"<html><body>" + fullXML[strings.IndexByte(fullXML, '\n'):] + "</body></html>", nil},
		"JSON in XML":                          {"<AfricasTalkingResponse>" + full + "</AfricasTalkingResponse>", nil},
		"very deep":                            {strings.Repeat("[", 1<<16), nil},
		"a recipient of a few megabytes":       {inside(`"statusCode":101,"x":"` + strings.Repeat("y", 4<<20) + `"`), res(ok)},
		"ten megabytes of something":           {strings.Repeat("<x>", 10<<20/3), nil},
		"one number twenty thousand times":     {jsonReply(slices.Repeat([]string{good}, 20_000)...), res(accepted(idA))},
	} {
		got, e := parseAnswer([]byte(tc.body), nums(one))
		if e != nil {
			t.Errorf("%s: got the error %v, want none", name, e)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseAnswer_MessageWithoutRecipients(t *testing.T) {
	t.Parallel()
	sender := &providers.Error{Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Code: "InvalidSenderId"}
	credit := &providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: "InsufficientBalance"}
	unknown := func(code string) *providers.Error {
		return &providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: code}
	}
	for message, want := range map[string]*providers.Error{
		"InvalidSenderId": sender, " InvalidSenderId\n": sender,
		"InsufficientBalance": credit, "insufficientbalance": {Outcome: credit.Outcome, Scope: credit.Scope, Cause: credit.Cause, Code: "insufficientbalance"}, "Success": unknown("Success"),
		"Sent to 0/2 Total Cost: 0": nil, "": nil, "InvalidSenderId for 254711000001": nil, "Hello": nil,
	} {
		text, _ := json.Marshal(message)
		for _, body := range []string{
			`{"SMSMessageData":{"Message":` + string(text) + `,"Recipients":[]}}`,
			`{"SMSMessageData":{"Message":` + string(text) + `,"Recipients":null}}`,
			`{"SMSMessageData":{"Message":` + string(text) + `}}`,
			`<AfricasTalkingResponse><SMSMessageData><Message>` + message + `</Message><Recipients/></SMSMessageData></AfricasTalkingResponse>`,
			`<AfricasTalkingResponse><SMSMessageData><Message>` + message + `</Message></SMSMessageData></AfricasTalkingResponse>`,
		} {
			results, e := parseAnswer([]byte(body), nums(one, two))
			if diff := cmp.Diff(want, e); diff != "" || results != nil {
				t.Errorf("%s: got %v (-want +got):\n%s", body, results, diff)
			}
		}
	}
}

func manyNumbers(n int) []sms.MSISDN {
	to := make([]sms.MSISDN, n)
	for i := range to {
		to[i] = one + sms.MSISDN(i)
	}
	return to
}

func BenchmarkParseAnswer200(b *testing.B) {
	to := manyNumbers(200)
	var js, xs []string
	for _, n := range to {
		js, xs = append(js, row(n.E164(), "102", "Success", idA)), append(xs, xmlRow(n.E164(), "102", "Success", idA))
	}
	for name, body := range map[string]string{"json": jsonReply(js...), "xml": xmlReply(xs...)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parseAnswer([]byte(body), to)
			}
		})
	}
}
