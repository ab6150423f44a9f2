package africastalking

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// Inbox returns the messages that came in after the one of that id, or from the
// first that the gateway has kept; ids are numbers [public]. The gateway decides how
// many it gives at once: ask again after the last until nothing comes.
func (p *Provider) Inbox(ctx context.Context, after string) ([]providers.Inbound, error) {
	if after == "" {
		after = "0"
	}
	if !isID(after) {
		e := providers.NoCall(opInbox, "an id to begin after that is no number")
		e.Scope = providers.Call
		return nil, e
	}
	reply, err := p.get(ctx, opInbox, messagingPath, "&lastReceivedId="+after)
	if err != nil {
		return nil, err
	}
	messages, ok := parseInbox(reply.Body)
	if !ok {
		return nil, reply.NotUnderstood(opInbox)
	}
	return messages, nil
}

// parseInbox reads the list of messages. One of them that cannot be read spoils the
// list: were it left out, whoever asks after the next one's id would never see it.
// It has no effects.
func parseInbox(body []byte) ([]providers.Inbound, bool) {
	outer, _ := providers.ReadObject(body)
	data, _ := outer.Object("SMSMessageData")
	list, ok := data.List("Messages")
	if !ok || list == nil {
		return nil, false
	}
	messages := make([]providers.Inbound, 0, len(list))
	for _, raw := range list {
		m, ok := readMessage(raw)
		if !ok {
			return nil, false
		}
		messages = append(messages, m)
	}
	return messages, true
}

func readMessage(raw json.RawMessage) (m providers.Inbound, ok bool) {
	in, ok := providers.ReadObject(raw)
	if !ok {
		return m, false
	}
	var date string
	for name, field := range map[string]*string{"linkId": &m.LinkID, "text": &m.Text, "to": &m.To, "id": &m.ID, "date": &date, "from": &m.From} {
		if *field, ok = in.Text(name); !ok {
			return m, false
		}
	}
	m.At, m.Fields = received(date, nil)
	return m, isID(m.ID)
}

// isID says whether text is a whole number that is no negative one.
func isID(text string) bool {
	const longest = 20
	return text != "" && len(text) <= longest && strings.Trim(text, "0123456789") == ""
}

// dateLayouts are how the vendor's documents and public code write a date. One
// without a zone is taken to be in UTC [assumed].
var dateLayouts = []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime}

// received reads when a message came. A date that cannot be read, or has no zone, is
// kept among the fields as it is written.
func received(date string, fields map[string]string) (time.Time, map[string]string) {
	date = strings.TrimSpace(date)
	for i, layout := range dateLayouts {
		at, err := time.Parse(layout, date)
		if err == nil && i == 0 {
			return at, fields
		}
		if err == nil {
			return at, withField(fields, "date", date)
		}
	}
	return time.Time{}, withField(fields, "date", date)
}

// withField adds a field that is not empty, to a map that is made only then.
func withField(fields map[string]string, name, value string) map[string]string {
	if value == "" {
		return fields
	}
	if fields == nil {
		fields = map[string]string{}
	}
	fields[name] = value
	return fields
}
