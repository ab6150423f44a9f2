package africastalkingsim

import (
	"net/http"
	"net/url"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// Forward returns the gateway's "Incoming Messages" callback for a message (from public sources).
func (a *Simulator) Forward(m simulator.Incoming) simulator.Forwarded {
	form := url.Values{
		"id": {m.ID}, "from": {"+" + m.From}, "to": {m.To}, "text": {m.Text}, "date": {m.At.UTC().Format(time.RFC3339)},
		"cost": {"None"}, "networkCode": {"63902"},
	}
	return simulator.Forwarded{Method: http.MethodPost, Form: form.Encode()}
}
