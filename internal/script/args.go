package script

import (
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// Args returns the fields of a struct of arguments, in their order, as scripts read them: a
// duration in milliseconds, a time in milliseconds since 1970 (0 for the zero time), a bool as 0 or
// 1. It panics for a field of another kind, which is an error in this program.
//
// Each script that takes arguments has a struct of them, beside the method that runs the script.
// The script gives ARGV the names of the struct's fields, in the same order. scripttest.Arguments
// checks that both agree.
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
