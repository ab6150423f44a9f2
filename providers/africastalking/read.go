package africastalking

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"

	"github.com/tuma-sms/tuma/providers/httpclient"
)

// readJSON parses the reply to a send. The result "ok" is false if the reply does not have the form
// on the vendor's page. In that case no part of the reply is used. A missing or null field
// Recipients counts as an empty list, because the gateway may refuse a sender ID with such a reply.
func readJSON(body []byte) (message string, entries []entry, ok bool) {
	outer, _ := httpclient.ReadObject(body)
	data, ok := outer.Object("SMSMessageData")
	message, textOK := data.Text("Message")
	recipients, listOK := data.List("Recipients")
	if !ok || !textOK || !listOK {
		return "", nil, false
	}
	for _, raw := range recipients {
		entries = append(entries, readRecipient(raw))
	}
	return message, entries, true
}

// readRecipient parses one element of Recipients. An element without a valid number still counts as
// an entry of the reply, but matches no recipient of the call.
func readRecipient(raw json.RawMessage) entry {
	r, ok := httpclient.ReadObject(raw)
	if !ok {
		return entry{unclear: true}
	}
	var e entry
	var codeOK, statusOK bool
	if n := r["number"]; len(n) > 0 && n[0] == '"' {
		e.number, _ = r.Text("number")
	}
	e.code, codeOK = r.Text("statusCode")
	e.status, statusOK = r.Text("status")
	e.unclear = !codeOK || !statusOK
	e.id, _ = r.Text("messageId")
	e.cost, _ = r.Text("cost")
	return e
}

// readXML is like readJSON, but for an XML reply. The result "ok" is false for other XML, such as a
// web page.
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
	if d.Decode(&reply) != nil || !atEnd(d) || len(reply.Data) != 1 || len(reply.Data[0].Recipients) > 1 {
		return "", nil, false
	}
	message, ok = atMostOne(reply.Data[0].Message)
	for _, list := range reply.Data[0].Recipients {
		for _, r := range list.Recipient {
			entries = append(entries, r.entry())
		}
	}
	return message, entries, ok
}

// xmlRecipient is one Recipient element. Its fields are slices, so that the parser can detect a
// repeated child element.
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

// atEnd reports whether only comments and white space follow.
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
