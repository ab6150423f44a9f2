package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

// The headers of Standard Webhooks, in the form of http.Header.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// payload is the body of a message. Standard Webhooks recommends these three members.
type payload struct {
	Type string `json:"type"`
	// Timestamp is the time at which the event happened, not the time at which the message is sent.
	Timestamp time.Time      `json:"timestamp"`
	Data      producer.Event `json:"data"`
}

// newBody returns the body of the message for an event. If the event has no time, the body contains
// the time "now" instead.
func newBody(e producer.Event, now time.Time) ([]byte, error) {
	at := e.At
	if at.IsZero() {
		at = now
	}
	return json.Marshal(payload{Type: string(e.Kind), Timestamp: at.UTC(), Data: e})
}

var errNoSecret = errors.New("the endpoint has no secret that is in force")

// sign sets the headers of a message. The headers contain the time "at" as the time of sending, and one
// signature for each secret in force.
func sign(h http.Header, secrets []Secret, id string, at time.Time, body []byte) error {
	stamp := strconv.FormatInt(at.Unix(), 10)
	var signatures []string
	for _, s := range secrets {
		if !s.Until.IsZero() && !at.Before(s.Until) {
			continue
		}
		key, err := keyOf(s.Key)
		if err != nil {
			return err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if len(signatures) == 0 {
		return errNoSecret
	}
	h.Set(headerID, id)
	h.Set(headerTimestamp, stamp)
	h.Set(headerSignature, strings.Join(signatures, " "))
	return nil
}
