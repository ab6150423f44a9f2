package providertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// otherShapes calls each method of the provider that reads a list. The server returns the list in a form that
// the gateway does not use. The provider must return an error, because an empty list would hide the messages.
func otherShapes(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	x.wantAll(x.send(p, x.newBatch(p, 3)), providers.Accepted, "a call to list")
	s := x.canned()
	other := x.open(s.url)
	there, here := questions(p), questions(other)
	for i, q := range there {
		if q.name != "inbox" && q.name != "taken" && !strings.HasPrefix(q.name, "report ") {
			continue
		}
		before := len(g.exchanges())
		if _, e := x.ask(x.Context(), q); e != nil {
			x.Errorf("%s: got the error %v, want none", q.name, e)
			continue
		}
		sent := g.exchanges()[before:]
		if len(sent) == 0 {
			x.Errorf("%s: got no request, want one", q.name)
			continue
		}
		e := sent[0]
		for _, body := range reshaped(e.reply) {
			s.answer(e.raw([]byte(body)))
			if said, e := x.ask(x.Context(), here[i]); e == nil || said {
				x.Errorf("%s: got no error for a list in a form that the gateway does not use, want an error; the list is %.200q", q.name, body)
			}
		}
	}
}

// reshaped returns replies that have the list of the given reply in another form.
func reshaped(reply []byte) []string {
	bodies := []string{"<table><tr><td>1</td></tr></table>"}
	var o map[string]json.RawMessage
	if json.Unmarshal(reply, &o) != nil {
		return append(bodies, `[{"MessageID":"1"}]`, `{"messages":[{"MessageID":"1"}]}`)
	}
	bodies = append(bodies, fmt.Sprintf(`{"reply":%s}`, reply), fmt.Sprintf(`[%s]`, reply))
	var members []string // members of the reply that are texts or numbers, such as a code
	for name, value := range o {
		if value[0] != '{' && value[0] != '[' {
			members = append(members, fmt.Sprintf("%q:%s", name, value))
		}
	}
	slices.Sort(members)
	return append(bodies, "{"+strings.Join(append(members, `"page":{"rows":[{"id":"1"}],"other":[{"id":"2"}]}`), ",")+"}")
}
