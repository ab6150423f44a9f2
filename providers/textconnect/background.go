package textconnect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

const (
	opSendStored = "textconnect send to a list"
	opBackground = "textconnect background messages"
)

// SendStored calls SendStoredWith with the account's options.
func (p *Provider) SendStored(ctx context.Context, b providers.StoredBatch) ([]string, error) {
	return p.SendStoredWith(ctx, b, SendOptions{})
}

// SendStoredWith sends once to a list or a group stored at the gateway. It returns the IDs for
// calls of BackgroundMessages. If the gateway splits the send, SendStoredWith returns several IDs.
// If the gateway reports only that it has taken the send, SendStoredWith returns no IDs and a nil
// error. If the text or an alphanumeric sender ID exceeds the vendor's limits, SendStoredWith makes
// no request and returns an error. SendStoredWith ignores o.AllMessageIDs.
func (p *Provider) SendStoredWith(ctx context.Context, b providers.StoredBatch, o SendOptions) ([]string, error) {
	if (b.List == "") == (b.Group == "") {
		return nil, refusal(opSendStored, "set exactly one of list and group")
	}
	what := messageRefusal(b.From, b.Body, o)
	if what == "" {
		what = lengthRefusal(b.From, b.Body)
	}
	if what != "" {
		return nil, refusal(opSendStored, what)
	}
	form := p.form("Send")
	if b.List != "" {
		form = httpclient.AppendField(httpclient.AppendField(form, "DestinationAddress", "List"), "ListName", b.List)
	} else {
		form = httpclient.AppendField(httpclient.AppendField(form, "DestinationAddress", "Group"), "GroupName", b.Group)
	}
	form = httpclient.AppendField(p.appendMessage(form, b.From, b.Body, o), "GetBGSendID", "1")
	reply, err := p.post(ctx, opSendStored, form)
	if err != nil {
		return nil, err
	}
	ids, verdict := parseSendIDs(reply.Body)
	if ids == nil {
		return nil, reply.Refused(opSendStored, verdict)
	}
	return ids, nil
}

// lengthRefusal returns an error text if the body or the sender ID exceeds a limit of the vendor.
// Otherwise it returns "". It checks messages that do not come from a producer.
func lengthRefusal(from, body string) string {
	switch {
	case !sms.Measure(body).Fits(MaxChars, MaxSegments):
		return fmt.Sprintf("the text is too long: at most %d characters and %d segments are allowed", MaxChars, MaxSegments)
	case strings.Trim(strings.TrimPrefix(from, "+"), "0123456789") != "" && utf8.RuneCountInString(from) > MaxSenderAlpha:
		return fmt.Sprintf("the alphanumeric sender ID is too long: at most %d characters are allowed", MaxSenderAlpha)
	}
	return ""
}

// parseSendIDs parses the IDs of background sends. If the gateway has taken the send but gives no ID,
// the body is "1", and parseSendIDs returns an empty, non-nil slice. For a code it returns an error.
// For any other body, both results are nil.
func parseSendIDs(body []byte) ([]string, *providers.Error) {
	const most, longest = 1000, 18
	line := firstLine(body)
	if n, ok := parseCode(line); ok {
		_, verdict := oneCode(n, most) // In this answer, a code has the same meaning as in a send to many numbers.
		return nil, verdict
	}
	ids := []string{}
	if line == "1" {
		return ids, nil
	}
	for id := range strings.SplitSeq(line, ",") {
		id = strings.TrimSpace(id)
		if id == "" || len(id) > longest || id[0] == '0' || strings.Trim(id, "0123456789") != "" || slices.Contains(ids, id) || len(ids) == most {
			return nil, nil
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// BackgroundMessages returns the messages of a background send, except those that the gateway has
// archived. It returns providers.ErrNotFinished while the gateway is still sending. The vendor's
// page describes the action, its parameter and its answers, but does not name the action. The name
// GetBGMessages is from FastSMS, the product that TextConnect sells.
func (p *Provider) BackgroundMessages(ctx context.Context, id string) ([]providers.BackgroundMessage, error) {
	if id == "" {
		return nil, refusal(opBackground, "the ID of the background send is missing")
	}
	reply, err := p.post(ctx, opBackground, httpclient.AppendField(p.form("GetBGMessages"), "BGSendID", id))
	if err != nil {
		return nil, err
	}
	messages, n, ok := parseBackground(reply.Body)
	switch {
	case ok:
		return messages, nil
	case n == notDone:
		return nil, providers.ErrNotFinished
	case n != 0:
		return nil, verdictOn(opBackground, n)
	}
	return nil, reply.NotUnderstood(opBackground)
}

// parseBackground parses a JSON array of messages. If the body is a bare code or a JSON error, it
// returns the code and false. The vendor's page describes a JSON error as an array, but shows an
// object, so parseBackground accepts both. For any other body it returns code 0 and false.
func parseBackground(body []byte) (messages []providers.BackgroundMessage, code int, ok bool) {
	if n, is := parseCode(firstLine(body)); is {
		return nil, n, false
	}
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '{' {
		body = slices.Concat([]byte("["), body, []byte("]"))
		code, _ = failure(body)
		return nil, code, false
	}
	if code, failed := failure(body); failed {
		return nil, code, false
	}
	var rows []struct {
		MessageID, Destination text
		Status                 *string
	}
	if json.Unmarshal(body, &rows) != nil || rows == nil {
		return nil, 0, false
	}
	messages = make([]providers.BackgroundMessage, 0, len(rows))
	for _, row := range rows {
		to, isNumber := parseNumber(string(row.Destination))
		if !isNumber || !isID(string(row.MessageID)) || row.Status == nil {
			return nil, 0, false
		}
		messages = append(messages, providers.BackgroundMessage{MessageID: string(row.MessageID), To: to, Status: rowState(*row.Status)})
	}
	return messages, 0, true
}

// The function "failure" parses a JSON array with a single error, and returns the error's code.
func failure(array []byte) (code int, ok bool) {
	var failures []struct{ Error text }
	if json.Unmarshal(array, &failures) != nil || len(failures) != 1 {
		return 0, false
	}
	return parseCode(string(failures[0].Error))
}

// text is the value of a JSON string, or the digits of a whole number in JSON.
type text string

var errNotText = errors.New("must be a string or a whole number")

// UnmarshalJSON parses a string or a whole number.
func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		err := json.Unmarshal(data, &s)
		*t = text(s)
		return err
	}
	if _, err := strconv.ParseInt(string(data), 10, 64); err != nil {
		return errNotText
	}
	*t = text(data)
	return nil
}
