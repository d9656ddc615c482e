module sans-rtc.invalid/interop/pion

go 1.19
