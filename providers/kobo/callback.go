package kobo

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

var _ providers.DeliveryParser = (*Provider)(nil)

// ParseDelivery parses a callback that KoboMobile sends to a callback_url. The callback holds one
// delivery report. The fields are known from the pages of two other vendors that sell the same
// product (docs.hollatags.com and the API of SmartHive Tech Solution): status, msg_id, timestamp,
// cost, pg_length, str_length, desc and dlr_code. The recipient's number is not one of these fields.
func (p *Provider) ParseDelivery(c providers.Callback) ([]providers.DLR, error) {
	form, err := httpclient.ParseCallback(c, http.MethodPost)
	if err != nil {
		return nil, err
	}
	d, ok := parseCallback(form)
	if !ok {
		return nil, providers.ErrCallback
	}
	return []providers.DLR{d}, nil
}

// longestID is the maximum length in bytes of a message ID in a callback. The IDs of the gateway are UUIDs.
const longestID = 128

// parseCallback parses a delivery report. The fields msg_id and status are required. A status that is
// missing in the map "states" is not final. If a message was not delivered, its Reason is "err:" and
// the gateway's code. The answer to a request for the status has the code in the same form.
func parseCallback(form url.Values) (d providers.DLR, ok bool) {
	d.MessageID = strings.TrimSpace(form.Get("msg_id"))
	state := clip(form.Get("status"))
	d.Status = states[strings.ToUpper(state)]
	d.Status.State = state
	if code := strings.TrimPrefix(clip(form.Get("dlr_code")), "err:"); code != "" && !d.Status.Delivered {
		d.Reason = "err:" + code
	}
	for _, name := range []string{"timestamp", "cost", "desc"} {
		if value := clip(form.Get(name)); value != "" {
			if d.Fields == nil {
				d.Fields = map[string]string{}
			}
			d.Fields[name] = value
		}
	}
	return d, d.MessageID != "" && len(d.MessageID) <= longestID && state != ""
}

// clip removes white space around a text and cuts the text to 60 bytes.
func clip(text string) string {
	const longest = 60
	text = strings.TrimSpace(text)
	return strings.ToValidUTF8(text[:min(len(text), longest)], "")
}
