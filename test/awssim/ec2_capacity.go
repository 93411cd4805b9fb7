package awssim

import "net/http"

// WithoutCapacity makes launches in a zone fail until [World.WithCapacity] is called.
func (w *World) WithoutCapacity(file CapacityFile) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ec2.capacity = append(w.ec2.capacity, file)
}

// WithCapacity ends all capacity shortages.
func (w *World) WithCapacity() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ec2.capacity = nil
}

// capacity returns EC2's error for a launch in a zone without capacity, or nil. Fact:
// EC2-INST-5, EC2-INST-6.
func (w *World) capacity(instanceType, zone string) *Error {
	for _, c := range w.ec2.capacity {
		switch {
		case c.Zone != zone || c.InstanceType != "" && c.InstanceType != instanceType:
		case c.Unsupported:
			return badRequest("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). Please retry your request by not specifying an Availability Zone or choosing another one.", instanceType, zone)
		default:
			return &Error{
				Status: http.StatusInternalServerError, Code: "InsufficientInstanceCapacity",
				Message: "We currently do not have sufficient " + instanceType + " capacity in the Availability Zone you requested (" + zone + "). Our system will be working on provisioning additional capacity.",
			}
		}
	}
	return nil
}

// offers reports whether the zone offers the type.
func (w *World) offers(instanceType, zone string) bool {
	problem := w.capacity(instanceType, zone)
	return problem == nil || problem.Code != "Unsupported"
}
