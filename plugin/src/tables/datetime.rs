//! Wall-clock times as the servers take them: text, so that no layout of a server's time structure is needed.

/// Microseconds of `9999-12-31 23:59:59.999999` since 1970 UTC.
const LAST_US: i64 = 253_402_300_799_999_999;
const DAY_US: i64 = 86_400_000_000;

/// `YYYY-MM-DD hh:mm:ss.ffffff` of `us` microseconds since 1970 UTC. What lies outside 1970 to 9999 is moved to its
/// nearest end: a peer's clock may say anything.
///
/// Digits are put one by one: a row of a table should not cost a formatter.
pub fn text(us: i64) -> [u8; 26] {
    let us = us.clamp(0, LAST_US);
    let (days, rest) = (us / DAY_US, us % DAY_US);
    let (year, month, day) = civil(days);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let mut text = *b"0000-00-00 00:00:00.000000";
    for (end, value) in [
        (4, year),
        (7, month),
        (10, day),
        (13, seconds / 3600),
        (16, seconds / 60 % 60),
        (19, seconds % 60),
        (26, micros),
    ] {
        let (mut at, mut value) = (end, value);
        while value > 0 {
            at -= 1;
            text[at] = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    text
}

/// Date of a day counted from 1970-01-01, which must not be negative. The year is taken to begin in March, so that
/// the leap day is its last: then months have regular lengths.
fn civil(days: i64) -> (i64, i64, i64) {
    let since_0000_03_01 = days + 719_468;
    let era = since_0000_03_01 / 146_097;
    let of_era = since_0000_03_01 % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        let text = |us| String::from_utf8(text(us).to_vec()).unwrap();
        assert_eq!(text(0), "1970-01-01 00:00:00.000000");
        assert_eq!(text(951_782_400_000_000), "2000-02-29 00:00:00.000000");
        assert_eq!(text(1_795_194_407_000_123), "2026-11-20 17:06:47.000123");
        assert_eq!(text(4_107_542_399_999_999), "2100-02-28 23:59:59.999999");
        assert_eq!(text(4_107_542_400_000_000), "2100-03-01 00:00:00.000000");
    }

    #[test]
    fn what_no_calendar_holds_is_moved_to_the_nearest_end() {
        let text = |us| String::from_utf8(text(us).to_vec()).unwrap();
        assert_eq!(text(i64::MIN), "1970-01-01 00:00:00.000000");
        assert_eq!(text(i64::MAX), "9999-12-31 23:59:59.999999");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = civil(0);
        for day in 1..3_000_000 {
            let next = civil(day);
            let expected_next_day = next == (last.0, last.1, last.2 + 1);
            let month_ends = next.2 == 1
                && last.2 >= 28
                && (next.1 == last.1 + 1 || (next.1, last.1) == (1, 12));
            assert!(expected_next_day || month_ends, "{last:?} {next:?}");
            last = next;
        }
    }
}
