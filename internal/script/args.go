package script

import (
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// Args converts the fields of a struct, in order, to arguments for a script. A duration is in
// milliseconds, a time is in milliseconds since 1970 (0 for the zero time), and a bool is 0 or 1.
// Args panics for a field of another kind, because such a field is an error in this program.
//
// Each script that takes arguments has a struct for its arguments, next to the method that runs
// the script. In the script, the elements of ARGV have the names of the struct's fields, in the
// same order. scripttest.Arguments checks that the script and the struct agree.
func Args(s any) []any {
	v := reflect.ValueOf(s)
	out := make([]any, v.NumField(), v.NumField()+4)
	for i := range out {
		out[i] = arg(v.Field(i))
	}
	return out
}

func arg(v reflect.Value) any {
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int, reflect.Int64:
		if v.Type() == reflect.TypeFor[time.Duration]() {
			return time.Duration(v.Int()).Milliseconds()
		}
		return v.Int()
	case reflect.Bool:
		if v.Bool() {
			return 1
		}
		return 0
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', 6, 64)
	case reflect.Slice:
		return v.Bytes()
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		at, _ := reflect.TypeAssert[time.Time](v)
		return UnixMilli(at)
	}
	panic(fmt.Sprintf("script: cannot pass an argument of type %s", v.Type()))
}
