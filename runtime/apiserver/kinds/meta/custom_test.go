package meta

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestConditionsHaveATime(t *testing.T) {
	at, now := field.NewPath("lastTransitionTime"), metav1.Now()
	for want, time := range map[int]*metav1.Time{0: &now, 1: {}} {
		if errs := ValidateCustom_Condition_LastTransitionTime(t.Context(), operation.Operation{}, at, time, nil); len(errs) != want {
			t.Errorf("%v: %v", time, errs)
		}
	}
}
