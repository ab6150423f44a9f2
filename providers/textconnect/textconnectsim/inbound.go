package textconnectsim

import (
	"net/http"
	"net/url"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// Forward returns the request with which the gateway forwards a message. The vendor's page allows GET and POST.
func (*Simulator) Forward(m simulator.Incoming) simulator.Forwarded {
	form := url.Values{
		"id": {m.ID}, "source": {m.From}, "dest": {m.To}, "msg": {m.Text}, "receivedts": {m.At.UTC().Format(time.DateTime)}, "auth": {"sandbox"},
	}
	return simulator.Forwarded{Method: http.MethodGet, Form: form.Encode()}
}
