package sms_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tuma-sms/tuma/sms"
)

func ExampleParseMSISDN() {
	for _, s := range []string{"0712 345 678", "+254 (0)712-345-678", "2348031234567", "2.54712E+11", "0202345678"} {
		m, err := sms.ParseMSISDN(s, "KE")
		if numberErr, ok := errors.AsType[*sms.NumberError](err); ok {
			fmt.Println(numberErr.Reason)
			continue
		}
		fmt.Println(m, m.Country())
	}
	// Output:
	// 254712345678 KE
	// 254712345678 KE
	// 2348031234567 NG
	// lost_digits
	// not_mobile
}

func ExampleMSISDN_Masked() {
	fmt.Println(sms.MSISDN(254712345678).Masked())
	// Output: 2547****5678
}

func ExampleSegments() {
	fmt.Println(sms.Segments(strings.Repeat("a", 160)))
	fmt.Println(sms.Segments(strings.Repeat("a", 160) + "!"))
	fmt.Println(sms.Segments(strings.Repeat("a", 159) + "’"))
	// Output:
	// 1 GSM-7
	// 2 GSM-7
	// 3 UCS-2
}

func ExampleValidateSender() {
	fmt.Println(sms.ValidateSender("ACMECOMPANYLTD", 11, 16))
	fmt.Println(sms.ValidateSender("ACME", 11, 16))
	// Output:
	// sender "ACMECOMPANYLTD" has 14 characters, the gateway takes at most 11
	// <nil>
}
