package africastalking

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/providers"
)

// FuzzParseAnswer compares parseAnswer with a simpler parser, vouchedFor.
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{
		jsonReply(row("+254711000001", "101", "Success", idA), row("+254733000002", "403", "InvalidPhoneNumber", "None")),
		jsonReply(row("+254733000002", `"102"`, "Success", "None"), row("+254711000001", "500", "", "")),
		xmlReply(xmlRow("+254711000001", "100", "Success", idA), xmlRow("+254711000001", "403", "", "None")),
		`{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}`, `{"SMSMessageData":{"Message":"x","Recipients":[{}]}}`,
		`<AfricasTalkingResponse><SMSMessageData><Recipients/></SMSMessageData></AfricasTalkingResponse>`, "<html>", "{}", "",
	} {
		f.Add([]byte(seed))
	}
	to := nums(one, two, three)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		results, e := parseAnswer(body, to)
		if !bytes.Equal(before, body) {
			t.Fatal("parseAnswer changed the body, want it unchanged")
		}
		if e != nil {
			if results != nil || e.Outcome == providers.Accepted || e.Outcome == providers.Retryable || len(e.Code) > 64 ||
				e.Outcome == providers.Rejected && !bytes.Contains(bytes.ToLower(body), []byte("invalidsenderid")) && !bytes.ContainsAny(body, `\&`) {
				t.Fatalf("%q: got the error %v with results %v, want a permitted error without results", body, e, results)
			}
			return
		}
		if results == nil {
			return
		}
		if len(results) != len(to) {
			t.Fatalf("%q: got %d results, want one for each recipient", body, len(results))
		}
		vouched := vouchedFor(body)
		for i, r := range results {
			if r.Outcome == providers.Accepted && !slices.Contains(vouched, to[i].String()) {
				t.Fatalf("%q: %s is accepted, but the reply has an accepting code only for %q", body, to[i].Masked(), vouched)
			}
			if r.Outcome == providers.Unknown && r.Reason == "" || len(r.Code) > 64 || (r.Scope == providers.Recipient) != (r.Cause == "") {
				t.Fatalf("%q: got the contradictory result %+v, want a consistent one", body, r)
			}
		}
	})
}

var (
	xmlNumber = regexp.MustCompile(`(?s)<(?:\w+:)?Recipient\b.*?</(?:\w+:)?Recipient\s*>`)
	anyDigits = regexp.MustCompile(`[0-9]+`)
)

// vouchedFor reads each recipient element of a reply. If a code in the element accepts the recipient,
// the result contains the numbers of this element.
func vouchedFor(body []byte) (numbers []string) {
	text := strings.TrimSpace(strings.TrimPrefix(string(body), "\ufeff"))
	if strings.HasPrefix(text, "<") {
		for _, recipient := range xmlNumber.FindAllString(regexp.MustCompile(`<!--|-->|<!\[CDATA\[|\]\]>`).ReplaceAllString(text, ""), -1) {
			// An entity or a comment may split a number. So if the element contains one of these,
			// vouchedFor returns all numbers.
			if strings.ContainsAny(recipient, "&?!") {
				return []string{one.String(), two.String(), three.String()}
			}
			numbers = append(numbers, besideACode(anyDigits.FindAllString(recipient, -1))...)
		}
		return numbers
	}
	var reply map[string]any
	if json.Unmarshal([]byte(text), &reply) != nil {
		return nil
	}
	for _, data := range reply {
		members, _ := data.(map[string]any)
		for _, member := range members {
			list, _ := member.([]any)
			for _, recipient := range list {
				var digits []string
				values, _ := recipient.(map[string]any)
				for _, value := range values {
					digits = append(digits, anyDigits.FindAllString(fmt.Sprintf("%v", value), -1)...)
				}
				numbers = append(numbers, besideACode(digits)...)
			}
		}
	}
	return numbers
}

// The parameter "digits" holds every sequence of digits in one recipient's part of a reply.
// besideACode returns this parameter if one of the sequences is a code that accepts a recipient, and
// nil otherwise.
func besideACode(digits []string) []string {
	if slices.ContainsFunc(digits, func(d string) bool { return d == "100" || d == "101" || d == "102" }) {
		return digits
	}
	return nil
}
