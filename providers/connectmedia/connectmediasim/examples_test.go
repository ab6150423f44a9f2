package connectmediasim_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers/connectmedia/connectmediasim"
)

// This test sends the samples of the vendor's page, with their values. PHP and JavaScript send multipart forms with an
// encoded message, and Python sends a URL-encoded form with the unchanged message.
func TestVendorExample_SamplesOfThePage(t *testing.T) {
	t.Parallel()
	const hello = "Hello from Connect Media!"
	form := func(message string) url.Values {
		return url.Values{
			"username": {"your_username"}, "password": {"your_password"}, "action": {"send"}, "to": {"254712345678"}, "sender": {"ConectMedia"}, "message": {message},
		}
	}
	for name, tc := range map[string]struct {
		message          string
		multipart, plain bool
	}{
		"PHP: urlencode":                 {url.QueryEscape(hello), true, false},
		"JavaScript: encodeURIComponent": {"Hello%20from%20Connect%20Media!", true, false},
		"Python":                         {hello, false, true},
	} {
		s, address := start(t, simulator.Options{Users: map[string]string{"your_username": "your_password"}})
		connectmediasim.Of(s).SetPlain(tc.plain)
		address += "/user-board/?api"
		code, reply := "", map[string]any(nil)
		if tc.multipart {
			var body bytes.Buffer
			w := multipart.NewWriter(&body)
			for field, values := range form(tc.message) {
				if err := w.WriteField(field, values[0]); err != nil {
					t.Fatal(err)
				}
			}
			_ = w.Close()
			resp, err := http.Post(address, w.FormDataContentType(), &body)
			if err != nil {
				t.Fatal(err)
			}
			code, reply = connectMediaRead(t, resp)
		} else {
			code, reply = connectMediaPost(t, address, form(tc.message))
		}
		if code != "201" || reply["message"] != " Message Sent Successfully!" {
			t.Errorf("%s: got code %s and %v, want the page's reply", name, code, reply)
		}
		if last := s.Gateway("connectmedia").LastAccepted(); last.Body != hello || last.From != "ConectMedia" {
			t.Errorf("%s: got the message %+v, want that of the page", name, last)
		}
	}
}
