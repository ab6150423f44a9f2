package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/sms"
)

// The type "kind" tells secrets, numbers and texts apart. A planted secret must not be in any output. A planted
// number or text may only be in the ledger, the inbox and results.
type kind string

const (
	secret kind = "secret"
	digits kind = "number"
	word   kind = "text"
)

// plant is a value that a test hides in Tuma's input, to look for it in Tuma's output.
type plant struct {
	what  string // names the value in messages of the test
	kind  kind
	exact map[string][]byte // forms whose case matters, by the name of the form
	lower map[string][]byte // forms whose case does not matter, in lower case
	// The pattern "whole" finds a number in each way of writing the number. The list "writings" has the digits for each
	// way. The search compares masked numbers with this list, to find masks that show too many digits.
	whole    *regexp.Regexp
	writings []string
}

// The constant "end" is a number of characters. The search also reports a text that contains the first six or the last
// six characters of a planted value, because a mask must show fewer than six at each end. These characters of planted
// values occur in no other text.
const end = 6

// newPlant returns the plant of a secret or a text. The value must have at least 12 characters, twice the constant
// "end".
func newPlant(k kind, what, value string) plant {
	p := plant{what: what, kind: k, exact: map[string][]byte{}, lower: map[string][]byte{}}
	if len(value) < 2*end {
		panic(what + " is too short to be looked for")
	}
	quoted, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	for form, text := range map[string]string{
		"unchanged": value, "its first characters": value[:end], "its last characters": value[len(value)-end:],
		"escaped for a query": url.QueryEscape(value), "escaped for a path": url.PathEscape(value),
		"as JSON": string(quoted[1 : len(quoted)-1]), "quoted": strings.Trim(strconv.Quote(value), `"`), "hexadecimal": hex.EncodeToString([]byte(value)),
	} {
		p.lower[form] = []byte(strings.ToLower(text))
	}
	p.encode(value)
	return p
}

// The method "encode" adds the base64 forms of a value. A value within a longer text, such as user:password, has one
// of three forms. The number of bytes before the value decides which form.
func (p *plant) encode(value string) {
	for before := range 3 {
		text := strings.Repeat("x", before) + value
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64 for URLs": base64.RawURLEncoding} {
			// Leave out base64 characters that also encode bits of the bytes before or after the value.
			inner := encoding.EncodeToString([]byte(text))[(before*8+5)/6 : len(text)*8/6]
			p.exact[fmt.Sprintf("%s at %d", name, before)] = []byte(inner)
		}
	}
}

// newNumber returns the plant of a Kenyan number: 254 and nine digits.
func newNumber(what, msisdn string) plant {
	national := strings.TrimPrefix(msisdn, "254")
	p := plant{what: what, kind: digits, exact: map[string][]byte{}, lower: map[string][]byte{"hexadecimal": []byte(hex.EncodeToString([]byte(msisdn)))}}
	p.encode(msisdn)
	p.writings = []string{msisdn, "0" + national, national}
	apart := strings.Join(strings.Split(national, ""), `[ .()-]?`)
	p.whole = regexp.MustCompile(`(?:254[ .()-]?|0|(?:^|[^0-9]))` + apart + `(?:[^0-9]|$)`)
	return p
}

// masks finds digits around stars, dots and the like.
var masks = regexp.MustCompile(`([0-9]*)(?:\*+|[xX#•]{2,}|…|\.{3,})([0-9]*)`)

// The method "in" looks for the plant in a text. It returns the name of the form that it finds, or "".
func (p *plant) in(text, lower []byte) string {
	for form, needle := range p.lower {
		if bytes.Contains(lower, needle) {
			return form
		}
	}
	for form, needle := range p.exact {
		if bytes.Contains(text, needle) {
			return form
		}
	}
	if p.whole == nil {
		return ""
	}
	if p.whole.Match(text) {
		return "in digits"
	}
	for _, m := range masks.FindAllSubmatch(text, -1) {
		head, tail := string(m[1]), string(m[2])
		for _, w := range p.writings {
			allowed := strings.ReplaceAll(sms.Mask(w), "*", "")
			if (len(head)+len(tail) > len(allowed) || max(len(head), len(tail)) > 4) && strings.HasPrefix(w, head) && strings.HasSuffix(w, tail) {
				return "in a mask that shows too much"
			}
		}
	}
	return ""
}

// The function "search" looks in a text for the plants of the given kinds. It returns the name and the form of each
// plant that it finds.
func search(plants []plant, text string, kinds ...kind) (found []string) {
	raw := []byte(text)
	lower := bytes.ToLower(raw)
	for i := range plants {
		p := &plants[i]
		if !slices.Contains(kinds, p.kind) {
			continue
		}
		if form := p.in(raw, lower); form != "" {
			found = append(found, p.what+", "+form)
		}
	}
	return found
}

// The search must find a value in each form, also within an otherwise ordinary log.
func TestPlanted_SearchFindsEachForm(t *testing.T) {
	t.Parallel()
	const password, code, msisdn = "kq7/Zw+é9 Vd&3xT", "Zufumbo kweli jx4Lahaja", "254712983465"
	plants := []plant{newPlant(secret, "password", password), newPlant(word, "text", code), newNumber("number", msisdn)}
	log := `{"level":"info","time":"2026-11-29T09:30:00.712983Z","campaign":"sale","took_ms":712983,"message":"campaign ended"}` + "\n%s\n" +
		`tuma_calls_total{account="kobo-main",result="accepted"} 7.12983e+08` + "\n"
	basic := func(user string) string {
		return base64.StdEncoding.EncodeToString([]byte(user + ":" + password + "\n"))
	}
	for want, lines := range map[string][]string{
		"password": {
			password, strings.ToUpper(password), `Post "http://gateway/send?pass=` + url.QueryEscape(password) + `": EOF`, "/callbacks/at/" + url.PathEscape(password) + "/inbound",
			fmt.Sprintf("%q", "pass="+password), fmt.Sprintf("%+q", password)[1:8] + "********", "Basic " + basic("u"), "Basic " + basic("us"), "Basic " + basic("use"), hex.EncodeToString([]byte(password)),
			"pass kq7/Zw***", "pass ****Vd&3xT ends",
			base64.URLEncoding.EncodeToString([]byte(`{"pass":"` + password + `"}`)),
		},
		"text": {code, "msg=" + url.QueryEscape("Hi "+code), "body=Zufumbo kw…", base64.StdEncoding.EncodeToString([]byte("text=" + code + ".")), "... Lahaja"},
		"number": {
			msisdn, "+254712983465", "0712983465", `{"to":712983465}`, "712983465", "+254 712 983 465", "0712-983-465", "%2B254712983465", "to=254712983465,254700000000",
			"25471298****", "****12983465", "254712***465", "0712xx3465", "712983…", "2547...983465", base64.StdEncoding.EncodeToString([]byte("to=" + msisdn)),
		},
	} {
		for _, line := range lines {
			if found := search(plants, fmt.Sprintf(log, line), secret, word, digits); len(found) != 1 || !strings.HasPrefix(found[0], want+", ") {
				t.Errorf("the log with the line %q: found %q, want the %s", line, found, want)
			}
		}
	}
	for _, line := range []string{"", "2547****3465", "254****465", "071****465", "71****465", "254712983466", "1712983465", "kq7 Zw", "Zufum", "[secret]", "254712345678", "…", "..."} {
		if found := search(plants, fmt.Sprintf(log, line), secret, word, digits); len(found) > 0 {
			t.Errorf("the log with the line %q: found %q, want nothing", line, found)
		}
	}
	if found := search(plants, password+code+msisdn, secret); len(found) != 1 {
		t.Errorf("a search for secrets alone found %q", found)
	}
}
