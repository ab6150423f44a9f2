package providers

import (
	"errors"
	"fmt"
	"strings"
)

// Callback is a request that a gateway sent to a URL of ours, such as a delivery report. The caller
// has read the body and checked the secret.
type Callback struct {
	// Method is the HTTP method, e.g. "POST".
	Method string
	// Query is the query of the URL, unchanged.
	Query string
	// ContentType is the header Content-Type, unchanged.
	ContentType string
	// Body is the whole body of the request.
	Body []byte
	// Place is the part of the URL's path that follows "delivery/". It is set only if Tuma's call to
	// the gateway named a URL with such a part. Then it identifies the call that the delivery report
	// is about.
	Place string
}

// DeliveryParser is a Provider whose gateway sends delivery reports (DLR) to a URL.
type DeliveryParser interface {
	// ParseDelivery returns the delivery reports of one callback. Without an error it returns at
	// least one report. The error wraps ErrCallback or ErrCallbackMethod and contains no part of the
	// callback.
	ParseDelivery(c Callback) ([]DLR, error)
}

// InboundParser is a Provider whose gateway forwards incoming messages (MO) to a URL.
type InboundParser interface {
	// ParseInbound returns the messages of one callback. Without an error it returns at least one
	// message. The error wraps ErrCallback or ErrCallbackMethod and contains no part of the
	// callback.
	ParseInbound(c Callback) ([]Inbound, error)
}

// OptOutParser is a Provider whose gateway sends the opt-outs of subscribers to a URL.
type OptOutParser interface {
	// ParseOptOut returns the opt-outs of one callback. Without an error it returns at least one
	// opt-out. The error wraps ErrCallback or ErrCallbackMethod and contains no part of the
	// callback.
	ParseOptOut(c Callback) ([]OptOut, error)
}

var (
	// ErrCallback means that the gateway does not document such a callback.
	ErrCallback = errors.New("not a callback of this gateway")
	// ErrCallbackMethod means that the gateway documents another HTTP method for the callback.
	ErrCallbackMethod = errors.New("not the HTTP method of this callback")
)

const (
	// MaxPathSecret is the maximum length in bytes of the secret in a callback's URL.
	MaxPathSecret = 128
	minPathSecret = 8
)

// CheckPathSecret returns an error if the text cannot be the secret in a callback's URL. The secret
// must have 8 to 128 characters that a URL's path may contain without escapes. The error does not
// contain the text.
func CheckPathSecret(secret Secret) error {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	text := secret.Reveal()
	switch {
	case len(text) < minPathSecret || len(text) > MaxPathSecret:
		return fmt.Errorf("must have %d to %d characters, e.g. the output of openssl rand -hex 24", minPathSecret, MaxPathSecret)
	case strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(plain, r) }), strings.Trim(text, ".") == "":
		return errors.New("must consist of letters, digits and - . _ ~ only, because it is part of a URL")
	}
	return nil
}
