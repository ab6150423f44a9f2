package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tuma-sms/tuma/sms"
)

// shownInput returns a number as the user wrote it, for an error text that this user reads.
func shownInput(number string) string {
	if strings.TrimSpace(number) == "" {
		return ""
	}
	return fmt.Sprintf("%.40q", number)
}

// explainNumber returns the text of an error about a number that the user wrote, with the number in
// full. Other errors keep their text.
func explainNumber(number string, err error) string {
	if bad, ok := errors.AsType[*sms.NumberError](err); ok {
		return bad.Explain(shownInput(number))
	}
	return err.Error()
}
