package httpclient

import "github.com/tuma-sms/tuma/providers"

func fields(err error) (names []string) {
	for m := range providers.Mistakes(err) {
		names = append(names, m.Field)
	}
	return names
}
