package africastalking

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
)

// once is a value of a JSON object, with how often its name stands there: of two
// values encoding/json would silently take the last. Names are compared without
// regard to case, as encoding/json does.
type once struct {
	raw   json.RawMessage
	times int
}

// UnmarshalJSON keeps the value and counts it.
func (o *once) UnmarshalJSON(raw []byte) error {
	o.raw, o.times = bytes.Clone(raw), o.times+1
	return nil
}

// text returns a string, or a number as it is written; nothing for null or what is
// missing. It is not ok for what stands there twice or is no such value.
func (o once) text() (text string, ok bool) {
	switch {
	case o.times == 0 || string(o.raw) == "null":
		return "", o.times <= 1
	case o.times > 1 || o.raw[0] == '{' || o.raw[0] == '[' || o.raw[0] == 't' || o.raw[0] == 'f':
		return "", false
	case o.raw[0] != '"':
		return string(o.raw), true
	}
	return text, json.Unmarshal(o.raw, &text) == nil
}

// list returns the elements of an array.
func (o once) list() (elements []json.RawMessage, ok bool) {
	if o.times != 1 || o.raw[0] != '[' || json.Unmarshal(o.raw, &elements) != nil {
		return nil, false
	}
	return elements, true
}

// object reads the one object that stands there into v, and says whether it is one.
func (o once) object(v any) bool {
	return o.times == 1 && o.raw[0] == '{' && json.Unmarshal(o.raw, v) == nil
}

// envelope is what replies are wrapped in.
type envelope struct {
	SMSMessageData, UserData once
}

// readJSON reads the reply to a send. It is not ok for what is not of the shape the
// page shows: then nothing of it is believed.
func readJSON(body []byte) (message string, entries []entry, ok bool) {
	var outer envelope
	var data struct{ Message, Recipients once }
	if json.Unmarshal(body, &outer) != nil || !outer.SMSMessageData.object(&data) {
		return "", nil, false
	}
	message, textOK := data.Message.text()
	recipients, listOK := data.Recipients.list()
	if !textOK || !listOK {
		return "", nil, false
	}
	for _, raw := range recipients {
		entries = append(entries, readRecipient(raw))
	}
	return message, entries, true
}

// readRecipient reads one element of Recipients. One without a number that can be
// read stands for nobody, but the list is not empty.
func readRecipient(raw json.RawMessage) entry {
	var r struct{ Number, StatusCode, Status, MessageID, Cost once }
	if json.Unmarshal(raw, &r) != nil {
		return entry{unclear: true}
	}
	var e entry
	var codeOK, statusOK bool
	if n := r.Number; len(n.raw) > 0 && n.raw[0] == '"' {
		e.number, _ = n.text()
	}
	e.code, codeOK = r.StatusCode.text()
	e.status, statusOK = r.Status.text()
	e.unclear = !codeOK || !statusOK
	e.id, _ = r.MessageID.text()
	e.cost, _ = r.Cost.text()
	return e
}

// readXML is readJSON for the other format. A web page is of another shape.
func readXML(body []byte) (message string, entries []entry, ok bool) {
	var reply struct {
		XMLName xml.Name `xml:"AfricasTalkingResponse"`
		Data    []struct {
			Message    []string `xml:"Message"`
			Recipients []struct {
				Recipient []xmlRecipient `xml:"Recipient"`
			} `xml:"Recipients"`
		} `xml:"SMSMessageData"`
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	if d.Decode(&reply) != nil || !atEnd(d) || len(reply.Data) != 1 || len(reply.Data[0].Recipients) != 1 {
		return "", nil, false
	}
	message, ok = atMostOne(reply.Data[0].Message)
	for _, r := range reply.Data[0].Recipients[0].Recipient {
		entries = append(entries, r.entry())
	}
	return message, entries, ok
}

// xmlRecipient is one Recipient; its elements are lists, so that one that stands
// there twice is seen.
type xmlRecipient struct {
	Number     []string `xml:"number"`
	StatusCode []string `xml:"statusCode"`
	Status     []string `xml:"status"`
	MessageID  []string `xml:"messageId"`
	Cost       []string `xml:"cost"`
}

func (r xmlRecipient) entry() entry {
	var e entry
	var codeOK, statusOK bool
	e.number, _ = atMostOne(r.Number)
	e.code, codeOK = atMostOne(r.StatusCode)
	e.status, statusOK = atMostOne(r.Status)
	e.unclear = !codeOK || !statusOK
	e.id, _ = atMostOne(r.MessageID)
	e.cost, _ = atMostOne(r.Cost)
	return e
}

func atMostOne(texts []string) (text string, ok bool) {
	if len(texts) == 1 {
		return texts[0], true
	}
	return "", len(texts) == 0
}

// atEnd says whether nothing that means anything follows.
func atEnd(d *xml.Decoder) bool {
	for {
		token, err := d.Token()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		switch token := token.(type) {
		case xml.Comment:
		case xml.CharData:
			if len(bytes.TrimSpace(token)) > 0 {
				return false
			}
		default:
			return false
		}
	}
}
