package africastalking

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// Inbox returns the incoming messages that follow the message with the ID lastID. If lastID is
// empty, Inbox begins with the oldest stored message. IDs are whole numbers (from public sources).
// The gateway limits how many messages one call returns. To read all messages, call Inbox again
// with the ID of the last message, until Inbox returns no messages.
func (p *Provider) Inbox(ctx context.Context, lastID string) ([]providers.Inbound, error) {
	if lastID == "" {
		lastID = "0"
	}
	if !isID(lastID) {
		e := providers.NoCall(opInbox, "the ID of the last known message must be a whole number of at most 20 digits")
		e.Scope = providers.Call
		return nil, e
	}
	reply, err := p.get(ctx, opInbox, messagingPath, "&lastReceivedId="+lastID)
	if err != nil {
		return nil, err
	}
	messages, ok := parseInbox(reply.Body)
	if !ok {
		return nil, reply.NotUnderstood(opInbox)
	}
	return messages, nil
}

// parseInbox parses the list of messages. The result "ok" is false if any message is invalid.
// Inbox must not leave out an invalid message. Otherwise the next call would start after a later
// ID, and the invalid message would be lost.
func parseInbox(body []byte) ([]providers.Inbound, bool) {
	outer, _ := httpclient.ReadObject(body)
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
	in, ok := httpclient.ReadObject(raw)
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
	if m.At.IsZero() {
		m.UnreadTime = strings.TrimSpace(date)
	}
	return m, isID(m.ID)
}

// isID reports whether text is a whole number of 1 to 20 digits.
func isID(text string) bool {
	const longest = 20
	return text != "" && len(text) <= longest && strings.Trim(text, "0123456789") == ""
}

// dateLayouts are the date formats in the vendor's documents and in public code. This package
// assumes that a date without a time zone is in UTC.
var dateLayouts = []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime}

// The function "received" parses the date of a message. If the date is invalid or has no time zone, it also
// stores the unchanged text in the map "fields".
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

// withField adds a field to the map and returns the map. It creates the map if the map is nil. If
// the value is empty, withField adds no field.
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
