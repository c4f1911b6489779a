package kindtest

import (
	"math/rand/v2"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// fill gives random values to all fields of v: half of the pointers nil, short
// lists and maps, strings and enum values mostly unknown ones.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Addr().Interface().(type) {
	case *resource.Quantity:
		v.Set(reflect.ValueOf(*resource.NewQuantity(r.Int64N(5), resource.DecimalSI)))
		return
	case *metav1.Time, *metav1.MicroTime:
		if r.IntN(2) == 0 {
			v.FieldByName("Time").Set(reflect.ValueOf(time.Unix(r.Int64N(1e9), 0)))
		}
		return
	case *intstr.IntOrString:
		v.Set(reflect.ValueOf([]intstr.IntOrString{intstr.FromInt32(0), intstr.FromInt32(3), intstr.FromString("50%"), intstr.FromString("x")}[r.IntN(4)]))
		return
	case *runtime.RawExtension:
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			fill(r, v.Field(i))
		}
	case reflect.Slice:
		s := reflect.MakeSlice(v.Type(), r.IntN(3), 3)
		for i := 0; i < s.Len(); i++ {
			fill(r, s.Index(i))
		}
		if s.Len() > 0 {
			v.Set(s)
		}
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		for i := r.IntN(3); i > 0; i-- {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(r, key)
			fill(r, value)
			m.SetMapIndex(key, value)
		}
		if m.Len() > 0 {
			v.Set(m)
		}
	case reflect.String:
		words := []string{"", "a", "b", "cpu", "memory", "ClientIP", "NodePort", "Container", "Limited", "RollingUpdate", "nginx:1.2", "10.0.0.1"}
		v.SetString(words[r.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.IntN(4) - 1))
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(200)))
	}
}
