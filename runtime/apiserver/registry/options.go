package registry

import (
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// addConnectOptions teaches the scheme to read the query of requests to
// subresources (exec, log …) into their options.
func addConnectOptions(s *runtime.Scheme) error {
	for _, into := range []any{
		&corev1.PodExecOptions{}, &corev1.PodAttachOptions{}, &corev1.PodLogOptions{}, &corev1.PodPortForwardOptions{},
		&corev1.PodProxyOptions{}, &corev1.NodeProxyOptions{}, &corev1.ServiceProxyOptions{},
	} {
		err := s.AddConversionFunc((*url.Values)(nil), into, func(in, out any, _ conversion.Scope) error {
			return fromQuery(*in.(*url.Values), out)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fromQuery sets the fields of a flat struct from the query parameters that bear
// their JSON names. Parameters that the struct does not have are left alone.
func fromQuery(q url.Values, out any) error {
	v := reflect.ValueOf(out).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		values, ok := q[name]
		if !ok || name == "" || len(values) == 0 {
			continue
		}
		if err := setField(v.Field(i), values); err != nil {
			return fmt.Errorf("query parameter %s=%s: %w", name, strings.Join(values, ","), err)
		}
	}
	return nil
}

func setField(f reflect.Value, values []string) error {
	if _, ok := f.Interface().(*metav1.Time); ok {
		t := &metav1.Time{}
		f.Set(reflect.ValueOf(t))
		return t.UnmarshalQueryParameter(values[0])
	}
	switch f.Kind() {
	case reflect.Pointer:
		p := reflect.New(f.Type().Elem())
		f.Set(p)
		return setField(p.Elem(), values)
	case reflect.Slice:
		s := reflect.MakeSlice(f.Type(), len(values), len(values))
		f.Set(s)
		for i := range values {
			if err := setField(s.Index(i), values[i:i+1]); err != nil {
				return err
			}
		}
	case reflect.String:
		f.SetString(values[0])
	case reflect.Bool:
		// A parameter without a value switches on, as in ?follow.
		b := true
		if values[0] != "" {
			var err error
			if b, err = strconv.ParseBool(values[0]); err != nil {
				return err
			}
		}
		f.SetBool(b)
	case reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(values[0], 10, f.Type().Bits())
		if err != nil {
			return err
		}
		f.SetInt(n)
	default:
		return fmt.Errorf("a %s cannot be read from a query", f.Type())
	}
	return nil
}
