"""How MDM names the features that it makes by itself, which tells them from those of custom features.

A name is the column's, then what was made of it; features of two columns name both; a few are of the whole row.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_OF_THE_ROW = re.compile(
    r"total_missing_count|missing_ratio|max_consecutive_missing|missing_pattern_id|missing_together_.+"
    r"|density_cluster|is_anomaly|is_noise_point|isolation_score|lof_score|kmeans_(?:cluster|distance)_\d+"
)
_MADE = re.compile(
    r"frequency(?:_ratio)?|is_rare|nunique_chars|is_missing"
    r"|log|zscore|percentile|is_outlier|bin_equal|bin_quantile|sqrt|boxcox|div_mean"
    r"|decile_position|entropy|gini|iqr_normalized|is_normal|kurtosis|shapiro_stat|skewness|tail_ratio"
    r"|(?:month|hour)_(?:sin|cos)|year|month|day|dayofweek|hour|is_(?:weekend|month_start|month_end)|days_since_start"
    r"|length|(?:unique_)?word_count|avg_word_length|unique_word_ratio|has_(?:digits|special)|is_(?:lower|upper)"
    r"|n_(?:digits|emails|hashtags|lowercase|mentions|spaces|special|uppercase|urls)"
    r"|(?:lag|lead|diff|pct_change|cumsum|trend|rolling)_?\w*"
)
_JOINED_BY = ("plus", "minus", "times", "div", "ratio_to_sum")
_BEFORE_TWO = ("max_", "min_")


def made_by_mdm(feature: str, columns: Collection[str], categories: Collection[str] = ()) -> bool:
    """Whether a feature is called as MDM calls those that it makes by itself.

    Args:
        feature: its name.
        columns: the columns of the table that it was made of.
        categories: those that may hold categories, of whose values MDM makes a feature each.
    """
    if _OF_THE_ROW.fullmatch(feature):
        return True
    if any(_of_two(feature, one, columns) for one in columns):
        return True
    made = (feature.removeprefix(f"{each}_") for each in columns if feature.startswith(f"{each}_"))
    return any(map(_MADE.fullmatch, made)) or any(feature.startswith(f"{each}_") for each in categories)


def _of_two(feature: str, one: str, columns: Collection[str]) -> bool:
    beginnings = (*(f"{one}_{word}_" for word in _JOINED_BY), *(f"{word}{one}_" for word in _BEFORE_TWO))
    return any(feature.startswith(each) and feature.removeprefix(each) in columns for each in beginnings)
