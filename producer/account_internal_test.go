package producer

import (
	"reflect"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
)

// fill sets every exported field of a struct and of its nested structs to a value that is not zero.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(*n), 0)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.String:
		v.SetString("text " + string(rune('a'+*n%26)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"KE": "08:00-18:00"}))
	}
}

func TestAccount_KeepsEveryFieldOfTheLedger(t *testing.T) {
	t.Parallel()
	var stored accounts.Account
	n := 0
	fill(reflect.ValueOf(&stored).Elem(), &n)
	public := accountOf(stored)
	if back := public.stored(); !reflect.DeepEqual(back, stored) {
		t.Errorf("the account changed when it was converted to producer.Account and back:\n got %+v\nwant %+v", back, stored)
	}
	v := reflect.ValueOf(public)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("accountOf leaves %s empty", v.Type().Field(i).Name)
		}
	}
}
